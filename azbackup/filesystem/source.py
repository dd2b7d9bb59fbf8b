"""The directory that is backed up: opened, or said why not. Promises nothing about what is in it."""

from __future__ import annotations

import os

from azbackup.errors import AzbackupError


def open_source(source: bytes) -> int:
    """A descriptor of the source directory (a symlink to it is followed).

    Raises AzbackupError, which says why it cannot be read.
    """
    shown = os.fsdecode(source)
    try:
        return os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise AzbackupError(f"no such directory: {shown}", "check the path") from None
    except NotADirectoryError:
        raise AzbackupError(f"not a directory: {shown}", "give the directory that holds it") from None
    except PermissionError:
        raise AzbackupError(f"cannot read directory: {shown}", "check its permissions, or run as its owner") from None
    except OSError as error:
        raise AzbackupError(f"cannot open directory {shown}: {error.strerror}") from None
