"""A login to Azure instead of a key: az login, a managed or workload identity, a service principal.

azure-identity looks for one, in its own order (DefaultAzureCredential). A token serves all clients and is renewed five
minutes before it ends, also in the middle of a run; a network that is away then is waited for like any other. What
cannot be had is one error with a hint; azure-identity's own message is a page.
"""

from __future__ import annotations

import re
import threading
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential

from azbackup.errors import Unavailable
from azbackup.storage.azure.connections import Clock
from azbackup.storage.azure.transport import NobodyAnswered

_RENEW_SECONDS = 300
_AWAY = re.compile(
    r"timed? ?out|failed to (establish|resolve)|max retries|connection (error|refused|reset|aborted)|unreachable"
    r"|name resolution|could not resolve",
    re.IGNORECASE,
)
_NOBODY_HINT = "run `az login`, or give the machine an identity; AZURE_TOKEN_CREDENTIALS says where to look"
_REFUSED_HINT = "log in again (`az login`); for a service principal check AZURE_CLIENT_ID and its secret"


class Login:
    """The SDK's protocols TokenCredential and SupportsTokenInfo. Used by several threads and clients."""

    def __init__(self, clock: Clock) -> None:
        """`clock`: Unix time."""
        self._clock = clock
        self._credential = DefaultAzureCredential(exclude_interactive_browser_credential=True)
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, ...], AccessTokenInfo] = {}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for the scopes. Raises Unavailable; NobodyAnswered where the network is away."""
        found = self.get_token_info(*scopes, options={name: value for name, value in options.items() if value})
        return AccessToken(found.token, found.expires_on)

    def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        """A token for the scopes, and when it ends. Raises Unavailable; NobodyAnswered where the network is away."""
        with self._lock:
            known = self._tokens.get(scopes)
            if known and not _asks_for_another(options) and known.expires_on - self._clock() > _RENEW_SECONDS:
                return known
            try:
                found: AccessTokenInfo = self._credential.get_token_info(*scopes, options=options)
            except AzureError as error:
                raise _refusal(error, worked=bool(self._tokens)) from None
            self._tokens[scopes] = found
            return found


def _asks_for_another(options: Any) -> bool:
    """Whether the service has refused the token that is known, and says which one it wants."""
    return bool(options and (options.get("claims") or options.get("tenant_id")))


def _refusal(error: AzureError, *, worked: bool) -> Exception:
    """What azure-identity's page says in a line. An identity service that is not there is no outage, unless it was."""
    lines = str(error).splitlines()
    if refused := re.search(r"AADSTS\d+", str(error)):
        return Unavailable(f"the login to Azure was refused ({refused[0]})", _REFUSED_HINT, passing=False)
    asked = [line for line in lines if worked or "ManagedIdentityCredential" not in line]
    if _AWAY.search("\n".join(asked)):
        return NobodyAnswered("the login to Azure gets no answer", is_network=True)
    return Unavailable("no login to Azure was found on this machine", _NOBODY_HINT, passing=False)
