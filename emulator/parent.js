// Loaded before Azurite (node --require): its standard input is a pipe that only the process which
// started it holds open, so when that process is gone, however it died, Azurite ends too.
"use strict";
process.stdin.resume();
process.stdin.unref(); // an orderly stop must not wait for it
process.stdin.on("error", () => {});
process.stdin.on("close", () => {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.exit(1), 5000).unref();
});
