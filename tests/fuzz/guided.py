"""Inputs that coverage leads, by Atheris (`make fuzz`, in an environment of its own), for every parser, or for one.

python -m tests.fuzz.guided SECONDS [PARSER]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found]  # only make fuzz installs it

with atheris.instrument_imports(include=["azbackup"]):
    from tests.fuzz.loop import check
    from tests.fuzz.parsers import parsers


def fuzz(name: str, seconds: str) -> None:
    """Begin with the seeds of the parser. The process ends with the input where one does harm."""
    parser = parsers()[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(parser.seeds):
            Path(folder, str(number)).write_bytes(seed)
        bounds = [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=1024", "-verbosity=0"]

        def one(data: bytes) -> None:
            check(parser, data)

        atheris.Setup([sys.argv[0], *bounds, "-print_final_stats=1", folder], one)
        atheris.Fuzz()


def main() -> int:
    """One parser here, or each in a process of its own; return 0 if none did harm."""
    seconds, *names = sys.argv[1:]
    if names:
        fuzz(names[0], seconds)
        return 0
    command = [sys.executable, "-m", "tests.fuzz.guided", seconds]
    failed = []
    for name in parsers():
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        failed += [name] if subprocess.run([*command, name], check=False).returncode else []
    sys.stdout.write(f"harm by: {', '.join(failed) or 'none'}\n")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
