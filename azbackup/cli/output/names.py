"""Names of files as listings show them: as they are where that is plain, else quoted so that a shell gives them back.

The quoting is the one that bash, zsh and ksh read (POSIX.1-2024, 2.2.4, "Dollar-Single-Quotes"), as in $'a b' with a
backslash, a letter n or x and two digits for what is not printable. Pure.
"""

from __future__ import annotations

import os
import shlex
from typing import NamedTuple

_ESCAPES = {"\n": "n", "\t": "t", "\r": "r", "\\": "\\", "'": "'"}


class Names(NamedTuple):
    """How names are shown: `for_terminal` quotes blanks too, `in_ascii` whatever an output cannot have.

    Where it does not go to a terminal, a name that is plain text stays as it is, blanks and all.
    """

    for_terminal: bool = False
    in_ascii: bool = False

    def shown(self, name: bytes) -> str:
        """A name on one line, without anything that drives a terminal; it may be given back to a shell."""
        text = os.fsdecode(name)
        plain = text.isprintable() and "\\" not in text and not text.startswith("$'")
        if plain and (text.isascii() or not self.in_ascii):
            return shlex.quote(text) if self.for_terminal else text
        return "$'" + "".join(map(self._escaped, text)) + "'"

    def _escaped(self, char: str) -> str:
        if char in _ESCAPES:
            return "\\" + _ESCAPES[char]
        if char.isprintable() and (char.isascii() or not self.in_ascii):
            return char
        return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
