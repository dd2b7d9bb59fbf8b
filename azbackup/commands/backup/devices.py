"""The numbers of file systems in a source's snapshots: a reboot may give them others, and hard links with them."""

from __future__ import annotations

from azbackup.format.model import Entry


class Devices:
    """The device numbers of one pass, each as the last snapshot has it. Pure."""

    def __init__(self) -> None:
        self._stored: dict[int, int] = {}
        self._taken: set[int] = set()

    def stored(self, device: int, old: Entry | None) -> int:
        """The number that is stored for a device; at its first path, where `old` is the last snapshot's entry.

        Two devices never get one number: whatever the last snapshot says, links are only joined within one of them.
        """
        number = self._stored.get(device)
        if number is None:
            number = device if old is None else old.device
            while number in self._taken:
                number += 1
            self._stored[device] = number
            self._taken.add(number)
        return number
