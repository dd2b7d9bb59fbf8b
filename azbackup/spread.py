"""Where many paths lie, in a few words: `all below cache/`. Pure; remembers no path, however many there are."""

from __future__ import annotations

import os

_PLACES = 32  # directories that are counted apart; what lies in further ones is elsewhere
_NAMED = 3


class Spread:
    """Counts paths by where they lie. It takes the same few bytes for three paths and for a million."""

    def __init__(self) -> None:
        self.count = 0
        self._common: list[bytes] | None = None  # the directory that all of them are below
        self._places: dict[bytes, int] = {}

    def add(self, path: bytes) -> None:
        """Counts a path."""
        self.count += 1
        *above, _ = path.split(b"/")
        if self._common is None:
            self._common = above
        elif above[: len(self._common)] != self._common:
            self._common = _shared(self._common, above)
        place = above[0] if above else b""
        if place in self._places or len(self._places) < _PLACES:
            self._places[place] = self._places.get(place, 0) + 1

    def text(self) -> str:
        """As in: all below cache/ca/; 900 below cache/, 97 elsewhere. Empty where no directory has many of them."""
        if self._common:
            return f"{'all ' * (self.count > 1)}below {os.fsdecode(b'/'.join(self._common))}/"
        largest = sorted(self._places.items(), key=lambda each: (-each[1], each[0]))
        named = [(place, count) for place, count in largest if place][:_NAMED]
        if not named:
            return ""
        rest = self.count - sum(count for _, count in named)
        texts = [f"{count:,} below {os.fsdecode(place)}/" for place, count in named]
        return ", ".join(texts + [f"{rest:,} elsewhere"] * bool(rest))


def _shared(one: list[bytes], other: list[bytes]) -> list[bytes]:
    """The components that both begin with."""
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]
