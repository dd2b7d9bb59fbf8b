"""The mounted file systems that hold no files of anybody: the kernel makes what is in them (/proc, /sys, devpts ...).

Told by the device number, from /proc/self/mountinfo (Linux, proc(5)). Where that is missing nothing is known.
"""

from __future__ import annotations

import os

_PSEUDO = frozenset(
    (
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "cpuset", "debugfs", "tracefs", "securityfs"),
        *("configfs", "pstore", "bpf", "efivarfs", "mqueue", "hugetlbfs", "binfmt_misc", "fusectl", "fuse.portal"),
        *("fuse.lxcfs", "rpc_pipefs", "nfsd", "selinuxfs", "smackfs", "nsfs", "resctrl", "binder", "devfs", "usbfs"),
        *("functionfs", "gadgetfs", "xenfs", "spufs", "ibmasmfs", "openpromfs", "pipefs", "sockfs", "bdev"),
    )
)


def pseudo_devices(table: str = "/proc/self/mountinfo") -> frozenset[int]:
    """The device numbers of the pseudo file systems that are mounted now."""
    try:
        with open(table, "rb") as file:
            lines = file.read().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(device for line in lines if (device := _pseudo_device(line)) is not None)


def _pseudo_device(line: str) -> int | None:
    """The device number of a line that is about a pseudo file system: `36 35 98:0 / /mnt rw - ext3 /dev/root rw`."""
    before, _, after = line.partition(" - ")
    fields, kinds = before.split(), after.split()
    if len(fields) < 3 or not kinds or kinds[0] not in _PSEUDO:
        return None
    major, _, minor = fields[2].partition(":")
    return os.makedev(int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
