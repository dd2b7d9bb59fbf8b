"""The data key under a recovery phrase: twelve words that a program drew, which open what is printed beside them.

    key     = HKDF(128 random bits, "azbackup/1 recovery")
    wrapped = nonce(12) || AES-256-GCM(key, nonce, data key, "azbackup/1 recovery" || 0 || partition) || tag(16)

A partition that has had other data keys: the same of data key || payload of the earlier ones (crypto/eras), and
"azbackup/3 recovery" for both labels.

Instead of the words there may be n shares of twenty words, any k of which open it. Nobody guesses 128 bits, so nothing
is stretched. Words and their checksum are BIP 39's (library mnemonic): one that is
misread is noticed at once, most of the time, and by the tag always.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from azbackup.crypto.eras import PastEra, decode_eras, encode_eras
from azbackup.crypto.secret import Secret
from azbackup.errors import WrongPassword
from azbackup.format.labels import KEY_BYTES, LABEL_RECOVERY, LABEL_RECOVERY_ERAS, NONCE_BYTES, WRAPPED_BYTES

PHRASE_BYTES = 16
_SHARE = 20  # words of a share


def _cipher(entropy: bytes, label: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=label).derive(entropy))


def _aad(partition: str, label: bytes) -> bytes:
    return label + b"\0" + partition.encode()


def new_phrase() -> str:
    """Twelve words: 128 random bits from the system, and four bits that check them."""
    from mnemonic import Mnemonic  # only here: a list of 2,048 words

    return str(Mnemonic("english").to_mnemonic(os.urandom(PHRASE_BYTES)))


def new_shares(needed: int, count: int) -> list[str]:
    """128 random bits as shares of twenty words (SLIP 39, library shamir-mnemonic), of which so many are needed."""
    from shamir_mnemonic import generate_mnemonics  # type: ignore[import-untyped]  # only here

    return list(generate_mnemonics(1, [(needed, count)], os.urandom(PHRASE_BYTES))[0])


def lacks_shares(phrase: str) -> bool:
    """Whether a text is shares, of which more are needed."""
    from shamir_mnemonic import MnemonicError

    try:
        _shared(phrase.lower().split())
    except MnemonicError as error:
        return "Wrong number of mnemonics" in str(error)
    return False


def _shared(words: list[str]) -> bytes:
    """The bits of some shares. Raises the library's MnemonicError."""
    from shamir_mnemonic import combine_mnemonics

    return bytes(combine_mnemonics([" ".join(words[at : at + _SHARE]) for at in range(0, len(words), _SHARE)]))


def _entropy(phrase: str) -> bytes:
    """The bits of a phrase or of shares, however they are spaced and in whatever case.

    Raises WrongPassword for what is neither.
    """
    from mnemonic import Mnemonic

    words = phrase.lower().split()
    if words and len(words) % _SHARE == 0:
        from shamir_mnemonic import MnemonicError

        try:
            return _shared(words)
        except MnemonicError as error:
            raise WrongPassword(f"the shares of the recovery phrase do not fit: {error}", "check each word") from None
    english = Mnemonic("english")
    known = set(english.wordlist)
    for place, word in enumerate(words, 1):
        if word not in known:
            raise WrongPassword(f"word {place} of the recovery phrase is in no list of such words", "check its letters")
    if len(words) != 12 or not english.check(" ".join(words)):
        raise WrongPassword(
            f"the recovery phrase has {len(words)} words whose checksum is not right", "it has 12: check their order"
        )
    return bytes(english.to_entropy(words))


def wrap_for_recovery(data_key: Secret, phrase: str, partition: str, earlier: Sequence[PastEra] = ()) -> bytes:
    """The data key under a phrase, or under as many shares as are needed: 60 bytes; more with `earlier` data keys."""
    label, plain = LABEL_RECOVERY, data_key.reveal()
    if earlier:
        label, plain = LABEL_RECOVERY_ERAS, plain + encode_eras(earlier)
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(_entropy(phrase), label).encrypt(nonce, plain, _aad(partition, label))


def unwrap_for_recovery(wrapped: bytes, phrase: str, partition: str) -> tuple[Secret, tuple[PastEra, ...]]:
    """The data key, and the earlier ones.

    Raises WrongPassword if the phrase does not open it, or it is another partition's.
    """
    label = LABEL_RECOVERY if len(wrapped) == WRAPPED_BYTES else LABEL_RECOVERY_ERAS
    try:
        cipher = _cipher(_entropy(phrase), label)
        plain = cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _aad(partition, label))
        earlier = decode_eras(plain[KEY_BYTES:]) if label == LABEL_RECOVERY_ERAS else ()
        return Secret(plain[:KEY_BYTES]), earlier
    except (InvalidTag, ValueError):
        raise WrongPassword(
            f"the recovery phrase does not open this file for partition {partition}",
            "check the phrase, the file and --partition",
        ) from None
