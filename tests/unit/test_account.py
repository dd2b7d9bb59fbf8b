"""Patience and answers: how often a call is repeated, how long it waits, what becomes of a refusal."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.paging import ItemPaged, PageIterator

from azbackup.crypto.secret import Secret
from azbackup.errors import Archived, AzbackupError, Changed, Exists, Missing, Status, Unavailable
from azbackup.storage.azure.account import Account, _page
from azbackup.storage.azure.credentials import Connection
from azbackup.storage.azure.patience import Patience
from azbackup.storage.azure.refusals import Credential, refusal
from azbackup.storage.azure.transport import NobodyAnswered, billing_class

KEY = "a2V5" * 22
PLACE = Connection("account", "http://127.0.0.1:1/account", "http://127.0.0.1:1/account", key=Secret.text(KEY))


def answer(status: int, code: str = "", retry_after: str = "") -> HttpResponseError:
    """Return the SDK's error for an answer."""
    headers = {"x-ms-error-code": code} | ({"Retry-After": retry_after} if retry_after else {})
    error = HttpResponseError(message=f"sig=SECRET {code}")
    error.status_code = status
    error.response = SimpleNamespace(headers=headers)
    return error


class Tries:
    """An account whose sleeps are written down, and an action that fails as it is told."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.account = Account(PLACE, patience=Patience(sleep=self.slept.append))

    def call(self, *errors: AzureError, forever: bool = False) -> tuple[int, AzbackupError | None]:
        """Return (how often the action was tried, the error that came of it)."""
        left = list(errors)
        tries = 0

        def action() -> str:
            nonlocal tries
            tries += 1
            if left:
                raise left[0] if forever else left.pop(0)
            return "done"

        try:
            assert self.account.call("blob x", action) == "done"
        except AzbackupError as error:
            return tries, error
        return tries, None


@pytest.mark.parametrize("error", [ServiceRequestError("refused"), ServiceResponseError("reset")])
def test_nobody_there_is_said_in_seconds(error: AzureError) -> None:
    """Four tries and less than two seconds of waiting, if nobody has ever answered."""
    patience = Tries()
    tries, raised = patience.call(error, forever=True)
    assert tries == 4
    assert sum(patience.slept) < 2
    assert isinstance(raised, Unavailable)
    assert raised.status is Status.UNAVAILABLE
    assert raised.hint


def test_an_outage_is_waited_out() -> None:
    """Once somebody has answered, half a minute without a network does not end a run."""
    patience = Tries()
    assert patience.call() == (1, None)
    assert patience.call(*[ServiceResponseError("reset")] * 7) == (8, None)
    assert 25 < sum(patience.slept) < 60
    tries, raised = patience.call(ServiceResponseError("reset"), forever=True)
    assert (tries, type(raised)) == (8, Unavailable)


def test_a_busy_service_is_given_the_time_it_asks_for() -> None:
    """Retry-After is kept to, up to two minutes; without it the waits grow."""
    patience = Tries()
    assert patience.call(answer(503, "ServerBusy", "7"), answer(503, "ServerBusy"), answer(429)) == (4, None)
    assert patience.slept[0] == 7
    assert 0 < patience.slept[1] < patience.slept[2]
    patience = Tries()
    patience.call(answer(503, "ServerBusy", "100000"))
    assert patience.slept == [120]


def test_what_was_sent_and_went_bad_on_its_way_is_sent_again() -> None:
    """The service refuses bytes that are not those of the MD5 sent along: that passes."""
    assert Tries().call(answer(400, "Md5Mismatch")) == (2, None)


def test_a_service_that_stays_busy_is_given_up() -> None:
    """After some eight tries, with status 14."""
    tries, raised = Tries().call(answer(503, "ServerBusy"), forever=True)
    assert tries == 8
    assert isinstance(raised, Unavailable)
    assert raised.code == "ServerBusy"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "BlobAlreadyExists", Exists),
        (409, "EntityAlreadyExists", Exists),
        (409, "ContainerAlreadyExists", Exists),
        (409, "TableAlreadyExists", Exists),
        (412, "ConditionNotMet", Changed),
        (412, "UpdateConditionNotSatisfied", Changed),
        (404, "BlobNotFound", Missing),
        (404, "ResourceNotFound", Missing),
        (403, "AuthenticationFailed", Unavailable),
        (401, "", Unavailable),
        (409, "BlobArchived", Archived),
        (409, "BlobBeingRehydrated", Archived),
        (412, "LeaseIdMissing", Unavailable),
    ],
)
def test_a_refusal_is_what_it_is(status: int, code: str, kind: type[AzbackupError]) -> None:
    """Taken, changed, absent and refused are told apart; nothing is tried twice; no signature is shown."""
    tries, raised = Tries().call(answer(status, code))
    assert tries == 1
    assert type(raised) is kind
    assert raised is not None
    assert "SECRET" not in f"{raised.message} {raised.hint}"


@pytest.mark.parametrize("header", ["soon", "-5", ""])
def test_a_strange_retry_after_does_no_harm(header: str) -> None:
    """What is no number counts as none; nobody sleeps a negative time."""
    patience = Tries()
    assert patience.call(answer(503, "ServerBusy", header)) == (2, None)
    assert patience.slept[0] > 0


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("PUT", "https://a.blob.core.windows.net/c/p/packs/x", "write"),
        ("GET", "https://a.blob.core.windows.net/c/p/packs/x", "read"),
        ("GET", "https://a.blob.core.windows.net/c?restype=container&comp=list", "list"),
        ("DELETE", "https://a.blob.core.windows.net/c/x", "other"),
        ("GET", "https://a.table.core.windows.net/t(PartitionKey='p',RowKey='key')", "table"),
        ("POST", "http://127.0.0.1:10002/devstoreaccount1/$batch", "table"),
    ],
)
def test_requests_are_counted_as_they_are_billed(method: str, url: str, expected: str) -> None:
    """Writes, reads, listings, table operations and what is free."""
    assert billing_class(method, url) == expected


def test_the_message_names_object_and_code() -> None:
    """An operator can look the code up."""
    error: Any = refusal("blob user1/packs/x", answer(403, "AuthorizationFailure"))
    assert "user1/packs/x" in error.message
    assert "AuthorizationFailure" in error.message


def worded(status: int, code: str, **details: str) -> HttpResponseError:
    """Return the SDK's error for an answer with Azure's own words."""
    error = answer(status, code)
    body = "".join(f"<{name}>{text}</{name}>" for name, text in details.items())
    error.response.text = lambda: f"<Error><Code>{code}</Code><Message>x</Message>{body}</Error>"
    return error


@pytest.mark.parametrize(
    ("error", "passing", "said", "hint"),
    [
        (worded(400, "InvalidHeaderValue", HeaderName="x-ms-access-tier"), False, "x-ms-access-tier", "--tier"),
        (worded(400, "BlobAccessTierNotSupportedForAccountType"), False, "400", "--tier"),
        (worded(409, "BlobImmutableDueToPolicy"), False, "BlobImmutableDueToPolicy", "immutability policy"),
        (worded(409, "SnapshotsPresent"), False, "SnapshotsPresent", "snapshots of its own"),
        (worded(412, "LeaseIdMissing"), False, "LeaseIdMissing", "lease"),
        (worded(501, "NotImplemented"), False, "501", "will not pass"),
        (worded(409, "ContainerBeingDeleted"), True, "ContainerBeingDeleted", "later"),
        (worded(503, "ServerBusy"), True, "ServerBusy", "later"),
        (
            worded(403, "AuthenticationFailed", AuthenticationErrorDetail="Request date header too old: 'Mon, 1 Jan'"),
            *(False, "Request date header too old", "clock is wrong"),
        ),
        (
            worded(
                403,
                "AuthenticationFailed",
                AuthenticationErrorDetail="Signature not valid in the specified time frame: x",
            ),
            *(False, "specified time frame", "SAS token is not valid yet"),
        ),
        (
            worded(403, "AuthenticationFailed", AuthenticationErrorDetail="The MAC signature 'SECRET' is not the same"),
            *(False, "403 AuthenticationFailed", "check the account name"),
        ),
    ],
)
def test_refusals_are_sorted(error: HttpResponseError, passing: bool, said: str, hint: str) -> None:
    """What passes, what has to be changed and what never works have true hints; no signature shows."""
    found = refusal("blob x", error)
    assert found.passing is passing
    assert said in found.message
    assert hint in found.hint
    assert ("later" in found.hint) is passing
    assert "SECRET" not in found.message


MAC = "The MAC signature 'SECRET' is not the same"
OLD = "Request date header too old: 'Mon, 1 Jan'"


@pytest.mark.parametrize(
    ("code", "detail", "server", "said", "hint"),
    [
        ("AuthenticationFailed", MAC, "Windows-Azure-Blob/1.0", "the key does not fit account mine", "--account"),
        ("AuthenticationFailed", "", "Windows-Azure-Table/1.0", "the key does not fit account mine", "keys list"),
        ("AuthenticationFailed", OLD, "Windows-Azure-Blob/1.0", "Azure refuses row key: 403", "clock is wrong"),
        ("AuthorizationFailure", "", "Azurite-Table/3.35.0", "the key does not fit account mine", "--account"),
        ("AuthorizationFailure", "", "Windows-Azure-Blob/1.0", "Azure refuses row key: 403", "network rules"),
        ("KeyBasedAuthenticationNotPermitted", "", "Windows-Azure-Blob/1.0", "Azure refuses row key", "--sas-token"),
    ],
)
def test_a_key_that_does_not_fit(code: str, detail: str, server: str, said: str, hint: str) -> None:
    """It is told from a clock, a firewall and an account that takes no keys; Azurite has a code of its own for it."""
    error = worded(403, code, AuthenticationErrorDetail=detail)
    error.response.headers = {"Server": server, "x-ms-error-code": code}
    found = refusal("row key", error, Credential("mine"))
    assert found.message.startswith(said)
    assert hint in found.hint
    assert (found.code, found.passing) == (code, False)
    assert "SECRET" not in found.message + found.hint
    token = refusal("row key", error, Credential("mine", "SAS token"))
    assert token.message.startswith(said.replace("the key", "the SAS token"))


def test_a_container_that_is_being_deleted_is_waited_for() -> None:
    """Azure takes half a minute for that: asked again, as a busy service is."""
    assert Tries().call(answer(409, "ContainerBeingDeleted"), answer(409, "TableBeingDeleted")) == (3, None)


class Clock:
    """A clock that moves by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def patient(**allowed: Any) -> tuple[Tries, Clock, list[str]]:
    """Return an account that may wait, its clock, and what it says about it."""
    tries, clock, said = Tries(), Clock(), []
    patience = Patience(**allowed, report=said.append, sleep=clock.sleep, clock=lambda: clock.now)
    tries.account = Account(PLACE, patience=patience)
    return tries, clock, said


REFUSED = ServiceRequestError("Connection refused")
NO_NAMES = ServiceRequestError("[Errno -3] Temporary failure in name resolution")


@pytest.mark.parametrize("error", [REFUSED, NO_NAMES, ServiceResponseError("Connection reset by peer")])
def test_a_network_that_is_not_there_yet(error: AzureError) -> None:
    """It is waited for as long as was allowed, from the first contact on, and the run says so once."""
    tries, clock, said = patient(network_seconds=180)
    assert tries.call(*[error] * 30) == (31, None)
    assert len(said) == 1
    assert said[0].endswith("; trying again")
    count, raised = tries.call(error, forever=True)
    assert 180 < clock.now < 2 * 180 + 60
    assert isinstance(raised, Unavailable)
    assert count > 20


def test_only_a_network_is_waited_for() -> None:
    """A stranger's page, a certificate that is not trusted and settings that cannot be used do not get better so."""
    for error in (
        NobodyAnswered("something on the way answered in its place"),
        ServiceRequestError("certificate verify failed"),
        ServiceRequestError("Could not find a suitable TLS CA certificate bundle, invalid path: /x"),
    ):
        tries, clock, said = patient(network_seconds=180)
        assert tries.call(error, forever=True)[0] <= 4
        assert clock.now < 2
        assert said == []


def test_names_that_cannot_be_looked_up_now() -> None:
    """No resolver is not the same as no such name; an untrusted certificate says where trusted ones come from."""
    hints = {
        "[Errno -3] Temporary failure in name resolution": ("cannot be looked up at the moment", "network"),
        "[Errno -2] Name or service not known": ("the host name is not known", "account name"),
        "certificate verify failed: unable to get local issuer": ("not trusted", "REQUESTS_CA_BUNDLE"),
        "invalid path: TLS CA certificate bundle": ("file of trusted certificates is not there", "REQUESTS_CA_BUNDLE"),
        "Missing dependencies for SOCKS support.": ("proxy's address cannot be used", "HTTPS_PROXY"),
    }
    for text, (reason, hint) in hints.items():
        raised = Tries().call(ServiceRequestError(text), forever=True)[1]
        assert raised is not None
        assert reason in raised.message
        assert hint in raised.hint


def test_a_run_that_stays_waits_as_long_as_it_takes() -> None:
    """Once the account was reached: a network that is away for hours, and a service that is busy; not before."""
    tries, clock, said = patient(stays=True)
    assert tries.call(REFUSED, forever=True)[0] == 4
    assert tries.call() == (1, None)
    assert tries.call(*[REFUSED] * 3000) == (3001, None)
    assert clock.now > 3 * 3600
    assert tries.call(*[answer(503, "ServerBusy")] * 3000) == (3001, None)
    assert len(said) == 2, "once for each outage"
    assert tries.call(answer(403, "AuthorizationFailure"))[0] == 1


def test_an_address_that_takes_connections_and_says_nothing() -> None:
    """Four minutes of tries that time out are enough, however few they were."""
    tries, clock, _ = patient()
    assert tries.call() == (1, None)

    def silent() -> None:
        clock.now += 60
        raise ServiceResponseError("Read timed out.")

    with pytest.raises(Unavailable, match="timed out"):
        tries.account.call("x", silent)
    assert 240 <= clock.now <= 330


class _Answer:
    """What a page was made of."""


class _Pages(PageIterator[int]):
    """Pages as the SDK's are: an iterator that hands itself its own methods."""

    made: ClassVar[list[weakref.ref[_Answer]]] = []

    def __init__(self, **options: Any) -> None:
        super().__init__(self._get_next_cb, self._extract_data_cb, **options)

    def _get_next_cb(self, token: str | None) -> _Answer:  # noqa: ARG002
        answer = _Answer()
        self.made.append(weakref.ref(answer))
        return answer

    def _extract_data_cb(self, answer: _Answer) -> tuple[str, list[int]]:
        self._response = answer
        return f"token {len(self.made)}", [len(self.made)]


def test_an_answer_goes_with_its_page() -> None:
    """Nobody holds it once its items are there, though nobody looks for things that refer to themselves."""
    _Pages.made.clear()
    gc.disable()
    try:
        assert _page(partial(ItemPaged, page_iterator_class=_Pages), None) == ([1], "token 1")
        assert _page(partial(ItemPaged, page_iterator_class=_Pages), "token 1") == ([2], "token 2")
        assert [each() for each in _Pages.made] == [None, None]
    finally:
        gc.enable()
