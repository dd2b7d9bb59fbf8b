"""Azure's refusals as the project's errors: taken, changed, absent, archived, and what is not allowed.

Azure says more than a status: a code, and for some the header, the reason or the detail. They are sorted into what
passes by itself, what somebody with rights can change, and what will never work, and each has the hint that is true.
Source: "Status and error codes" of the common REST API, of Blob Storage and of Table Storage.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from azure.core.exceptions import HttpResponseError

from azbackup.errors import PASSING, Archived, Changed, Exists, Missing, Unavailable

BUSY = {408, 429, 500, 502, 503, 504}
_LONGEST_WAIT = 120.0
_EXISTS = {
    "BlobAlreadyExists",
    "EntityAlreadyExists",
    "ContainerAlreadyExists",
    "TableAlreadyExists",
}
_ARCHIVED = {"BlobArchived", "BlobBeingRehydrated"}
_CHANGED = {"", "ConditionNotMet", "UpdateConditionNotSatisfied", "TargetConditionNotMet"}

_LATER = "run the same command again later"
_RIGHTS = "check the account name, the key or token and its rights, and this machine's clock"
_TIER = "this kind of account has no such tier (zone-redundant and premium ones cannot archive): choose another --tier"
_THAW = "set its tier to Hot, which takes up to 15 hours; if a lifecycle rule archived it, let the rule spare it"
_NEVER = "it will not pass by itself: look the code up in Azure's documentation, or ask whoever looks after the account"
# Code, or a word of Azure's detail -> what to do.
_HINTS = {
    "BlobAccessTierNotSupportedForAccountType": _TIER,
    "x-ms-access-tier": _TIER,
    "InvalidHeaderValue": _TIER,  # the one header of ours whose value an account may not know
    "BlobImmutableDueToPolicy": "an immutability policy or a legal hold keeps it: it can go when that has ended",
    "SnapshotsPresent": "it has blob snapshots of its own: remove those first (az storage blob delete-batch)",
    "LeaseIdMissing": "somebody holds a lease on it: it has to be broken or to end first",
    "AuthorizationFailure": "the account's network rules shut this machine out, or the token is for other services",
    "AccountIsDisabled": "the account is disabled: whoever looks after it can say why",
    "KeyBasedAuthenticationNotPermitted": "the account takes no account key: use --auth-mode login, or --sas-token",
    "CannotVerifyCopySource": "use an account key, or --thaw in-place (--plan --thaw in-place says what that costs)",
    "date header too old": "this machine's clock is wrong: set it",
    "specified time frame": "the SAS token is not valid yet, or no longer: make a new one, and check the clock",
    "fields not well formed": "the SAS token is not whole: copy it again, in quotes",
}
_DETAILS = ("AuthenticationErrorDetail", "HeaderName", "QueryParameterName", "Reason")


def retry_after(error: HttpResponseError) -> float:
    """The seconds that an answer asks to wait, 0 when it does not say, at most two minutes."""
    headers = getattr(error.response, "headers", None) or {}
    try:
        return min(float(headers.get("Retry-After", 0)), _LONGEST_WAIT)
    except ValueError:
        return 0.0


def passes(error: HttpResponseError) -> bool:
    """Whether the service asks for patience: it is busy, or takes its time to delete what is to be made anew."""
    return error.status_code in BUSY or error_code(error) in PASSING - {""}


def error_code(error: HttpResponseError) -> str:
    """Azure's own code for a refusal, from the SDK or from the header."""
    code = getattr(error, "error_code", None)
    if not code:
        headers = getattr(error.response, "headers", None) or {}
        code = headers.get("x-ms-error-code", "")
    return str(getattr(code, "value", code) or "")


class Credential(NamedTuple):
    """What a request was signed with: whose account it is for, and which kind (key, SAS token, login)."""

    account: str
    kind: str = "key"

    def unfit(self, code: str) -> Unavailable:
        """The error for one that the account does not know."""
        hint = _UNFIT_HINTS[self.kind].format(account=self.account)
        message = f"the {self.kind} does not fit account {self.account} (403 {code})"
        return Unavailable(message, hint, code, passing=False)


_UNFIT_HINTS = {
    "key": "check --account; copy the key again: az storage account keys list --account-name {account}",
    "SAS token": "check --account; the token may be cut, or of a key that was made anew since: make a new one",
    "login": "check --account and this machine's clock; log in again, into the tenant that the account belongs to",
}
_ROLES = "a login needs the roles Storage Blob Data Contributor and Storage Table Data Contributor; owner is not enough"


def refusal(what: str, error: HttpResponseError, credential: Credential | None = None) -> Unavailable:
    """The project's error for an answer that says no."""
    code, status = error_code(error), error.status_code
    if code in _EXISTS:
        return Exists(f"{what} exists already", code=code)
    if code in _ARCHIVED:
        return Archived(f"{what} is in the archive tier ({code})", _THAW, code)
    if (status == 412 and code in _CHANGED) or code in _CHANGED - {""}:
        return Changed(f"{what} was changed meanwhile", "run the same command again", code)
    if status == 404:
        return Missing(f"{what} is not there ({code or status})", code=code)
    detail = _detail(error)
    answer = " ".join(filter(None, (str(status), code, detail and f"({detail})")))
    if status in (401, 403):
        if credential is not None and _is_unfit(error, code, detail):
            return credential.unfit(code)
        rights = _ROLES if credential is not None and credential.kind == "login" else _RIGHTS
        message, hint, passing = f"Azure refuses {what}: {answer}", _hint(code, detail, rights), False
    else:
        passing = passes(error)
        message, hint = f"Azure answered {answer} for {what}", _hint(code, detail, _LATER if passing else _NEVER)
    return Unavailable(message, hint, code, passing=passing)


def _is_unfit(error: HttpResponseError, code: str, detail: str) -> bool:
    """Whether the signature is not the account's. Azurite says so by the code that is a firewall's in Azure."""
    if _hint("", detail, ""):
        return False  # the clock, or a token's time
    headers = getattr(error.response, "headers", None) or {}
    azurite = str(headers.get("Server", "")).startswith("Azurite")
    return code == "AuthenticationFailed" or (code == "AuthorizationFailure" and azurite)


def _hint(code: str, detail: str, otherwise: str) -> str:
    return next((hint for sign, hint in _HINTS.items() if sign == code or sign in detail), otherwise)


def _detail(error: HttpResponseError) -> str:
    """What Azure adds to a code, without the parts that show a signature or what was signed."""
    try:
        text = error.response.text() if error.response is not None else ""
    except (AttributeError, ValueError, LookupError):
        return ""  # there is none, or it is no text
    from html import unescape  # 2 ms that a run without a refusal does without

    found = [re.search(f"<{name}>([^<]{{1,300}})</{name}>", text) for name in _DETAILS]
    sentences = [unescape(match[1]).split(". ")[0].split(": ")[0].strip() for match in found if match]
    return "; ".join(each for each in sentences if not re.search(r"sig=|MAC|string to sign|http", each, re.IGNORECASE))
