"""How coarse a file system's clock is, as far as a time shows it. Pure."""

from __future__ import annotations

_SECOND = 1_000_000_000
# What times are multiples of, the coarsest first: days, hours and minutes (some servers), 2 s (FAT), 1 s (ext3, ext4
# with 128-byte inodes, HFS+, old NFS servers), tenths. A fine time that is one of these by chance is taken for a
# coarse one, which costs a reading.
_COARSE = (86400 * _SECOND, 3600 * _SECOND, 60 * _SECOND, 10 * _SECOND, 2 * _SECOND, _SECOND, _SECOND // 10)
_FINE = _SECOND // 20  # nanoseconds are written, but the kernel's clock ticks 100 to 1,000 times a second


def tick(time_ns: int) -> int:
    """For how long, in nanoseconds, other changes may get the same time."""
    return next((step for step in _COARSE if time_ns % step == 0), 0) + _FINE
