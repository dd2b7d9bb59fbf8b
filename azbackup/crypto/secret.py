"""Passwords and keys, which nothing shows by accident."""

from __future__ import annotations


class Secret:
    """Bytes that no log, error, traceback or repr shows. `reveal()` is the only way to them."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    @classmethod
    def text(cls, text: str) -> Secret:
        """A password as typed; surrogates from a non-UTF-8 terminal keep their bytes."""
        return cls(text.encode("utf-8", "surrogateescape"))

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled")
