"""How hard a new password is to guess, by an estimate (library zxcvbn): a weak one is warned about, never refused.

Loaded only where a password is set: 14 MB, 40 ms. What is said holds nothing of the password.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from azbackup.crypto.secret import Secret

_ENOUGH = 10.0  # powers of ten of guesses; each takes 64 MiB for a tenth of a second
_LONGEST = 72  # characters that the library looks at


def weakness(password: Secret, words: Iterable[str] = ()) -> str:
    """What is weak about a new password, '' for nothing. `words` are what anybody could guess it is made of."""
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]  # it has no types

    try:
        text = password.reveal().decode()
    except UnicodeDecodeError:
        return ""  # nobody types that
    found = zxcvbn(text[:_LONGEST], user_inputs=[word for word in words if word])
    tens = float(found["guesses_log10"])
    if tens >= _ENOUGH:
        return ""
    about = f"{math.ceil(10**tens):,}" if tens < 4 else f"10^{round(tens)}"
    why = str(found["feedback"]["warning"] or "").rstrip(".").lower()
    return (
        f"the new password is weak: about {about} guesses find it{f' ({why})' if why else ''}, and whoever can read "
        "the storage can guess for as long as they like. Five words that dice or a program chose are strong; "
        "change_password.py sets them"
    )
