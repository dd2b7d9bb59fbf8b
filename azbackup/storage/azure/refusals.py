"""Azure's refusals as the project's errors: taken, changed, absent, and what is not allowed."""

from __future__ import annotations

from azure.core.exceptions import HttpResponseError

from azbackup.errors import Changed, Exists, Missing, Unavailable

_EXISTS = {
    "BlobAlreadyExists",
    "EntityAlreadyExists",
    "ContainerAlreadyExists",
    "TableAlreadyExists",
}
_CHANGED = {"ConditionNotMet", "UpdateConditionNotSatisfied", "TargetConditionNotMet"}
_LONGEST_WAIT = 120.0


def retry_after(error: HttpResponseError) -> float:
    """The seconds that an answer asks to wait, 0 when it does not say, at most two minutes."""
    headers = getattr(error.response, "headers", None) or {}
    try:
        return min(float(headers.get("Retry-After", 0)), _LONGEST_WAIT)
    except ValueError:
        return 0.0


def error_code(error: HttpResponseError) -> str:
    """Azure's own code for a refusal, from the SDK or from the header."""
    code = getattr(error, "error_code", None)
    if not code:
        headers = getattr(error.response, "headers", None) or {}
        code = headers.get("x-ms-error-code", "")
    return str(getattr(code, "value", code) or "")


def refusal(what: str, error: HttpResponseError) -> Unavailable:
    """The project's error for an answer that says no."""
    code, status = error_code(error), error.status_code
    if code in _EXISTS:
        return Exists(f"{what} exists already", code=code)
    if status == 412 or code in _CHANGED:
        return Changed(f"{what} was changed meanwhile", "run the same command again", code)
    if status == 404:
        return Missing(f"{what} is not there ({code or status})", code=code)
    if status in (401, 403):
        hint = "check the account name, the key or token and its rights, and this machine's clock"
        return Unavailable(f"Azure refuses {what}: {' '.join((str(status), code))}".rstrip(), hint, code)
    answer = " ".join((str(status), code)).rstrip()
    return Unavailable(f"Azure answered {answer} for {what}", "run the same command again later", code)
