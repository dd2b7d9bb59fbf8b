"""A monitor that is told by HTTP, in the way of healthchecks.io: URL/start, then URL, URL/fail or URL/log.

    thread: /start -> (the run) -> the end; in this order, whatever the network does

So what never ran is noticed too: the monitor waits for a sign that does not come. Proxies and certificates are those of
every request (docs/operations.md, networks); a credential in ~/.netrc is not sent, a redirect not followed.
"""

from __future__ import annotations

import queue
import threading
import time
from urllib.parse import urlsplit, urlunsplit

from azbackup.cli.output.text import time_text
from azbackup.cli.telling.outcome import Outcome
from azbackup.errors import Status, UsageError
from azbackup.version import VERSION

_BODY_BYTES = 10_000  # that every server of this kind takes
_TRIES = 3
_PAUSE_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
_LOST = 500  # HTTP statuses from here on may be another one in a moment


def check_url(url: str) -> str:
    """The URL. Raises UsageError unless it is one of http or https."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or any(char.isspace() or not char.isprintable() for char in url):
        raise UsageError("--ping is not an address of http or https", "as in: --ping https://hc-ping.com/UUID")
    return url


def signal_of(outcome: Outcome) -> str:
    """What is put behind the path: nothing for 0 alone. What ends with 11 or 75 is neither good nor bad yet."""
    if outcome.status == Status.DONE:
        return ""
    return "/log" if outcome.status in (Status.ALREADY_RUNNING, Status.THAWING) else "/fail"


def body_of(outcome: Outcome) -> bytes:
    """The status, then the end of what the run said."""
    head = f"{outcome.script} ended with status {int(outcome.status)}\n".encode()
    log = "".join(f"{line}\n" for line in outcome.heard.lines).encode("utf-8", "backslashreplace")
    return head + log[len(head) - _BODY_BYTES :]


class Ping:
    """One monitor, told by a thread of its own: the run waits for it at the end alone, and not for long."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(check_url(url))
        self._messages: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._fault = ""
        self._thread = threading.Thread(target=self._work, daemon=True)

    def begin(self) -> None:
        """Says that the run has begun."""
        self._thread.start()
        self._messages.put(("/start", b""))

    def send_end(self, outcome: Outcome) -> None:
        """Says how it ended; `wait` tells whether that arrived."""
        self._messages.put((signal_of(outcome), body_of(outcome)))
        self._messages.put(None)

    def wait(self, seconds: float) -> str:
        """Waits so many seconds at most; returns what is to be said, '' if the end was told."""
        self._thread.join(max(0.0, seconds))
        host = f"{self._parts.scheme}://{self._parts.hostname}"  # the path is the monitor's secret
        if self._thread.is_alive():
            return f"--ping: {host} did not answer in time"
        return f"--ping: {host}: {self._fault}" if self._fault else ""

    def _work(self) -> None:
        import requests  # comes with the SDK, which loads it too

        with requests.Session() as session:
            session.auth = lambda request: request  # else ~/.netrc is read
            session.headers["User-Agent"] = f"azbackup/{VERSION}"
            while (message := self._messages.get()) is not None:
                self._fault = self._send(session, *message)

    def _send(self, session: object, end: str, body: bytes) -> str:
        """What went wrong, '' for nothing."""
        import requests

        assert isinstance(session, requests.Session)
        url = urlunsplit(self._parts._replace(path=self._parts.path.rstrip("/") + end if end else self._parts.path))
        fault = ""
        for left in reversed(range(_TRIES)):
            try:
                answer = session.post(url, data=body, timeout=_ANSWER_SECONDS, allow_redirects=False, stream=True)
                answer.close()
                if answer.ok and not answer.is_redirect:
                    return ""
                fault = f"answered {answer.status_code}"
                if answer.status_code < _LOST:
                    return fault
            except requests.Timeout:
                fault = f"did not answer for {time_text(_ANSWER_SECONDS)}"
            except (requests.RequestException, OSError, ValueError) as error:
                fault = f"cannot be reached ({type(error).__name__})"
            if left:
                time.sleep(_PAUSE_SECONDS)
        return fault
