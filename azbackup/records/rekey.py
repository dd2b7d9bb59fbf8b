"""One run of change_password.py: the data key under a new password.

No data is touched, no other row is, and no other blob appears but one new copy of the key record.
"""

from __future__ import annotations

from azbackup.crypto.secret import Secret
from azbackup.errors import Changed, UsageError
from azbackup.records.keystore import KeyRecord, Keystore


def change_password(keystore: Keystore, old: Secret, new: Secret, now: str) -> KeyRecord:
    """The key record that is in force from now on. WrongPassword, NothingStored, Damaged, Changed."""
    if not new.reveal():
        raise UsageError("the new password is empty", "give a password with --new-password")
    try:
        return keystore.change(old, new, now)
    except Changed:
        raise Changed(
            "the password was changed by somebody else meanwhile",
            "run the command again with the password of now",
        ) from None
