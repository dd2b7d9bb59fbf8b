"""What the sizes of packs tell about where a known file was cut: once the cutter's seed, now nothing that helps."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from pyfastcdc import FastCDC

from azbackup.format.labels import CHUNK_MAX, CHUNK_MIN, CHUNK_NORMAL
from tests.cli.boundary_attack import SEED_MASK, Attack
from tests.cli.conftest import Cli

MIB = 1 << 20
SEED = 0x0123_4567_89AB_CDEF
ALL_SEEDS = 1 << 18  # lowest parts of 18 bits


@pytest.fixture(scope="module")
def known() -> bytes:
    """Contents that somebody knows and that do not shrink: 300 MiB."""
    noise = random.Random(17)
    return b"".join(noise.randbytes(MIB) for _ in range(300))


def lengths(known: bytes, seed: int) -> list[int]:
    """Return the lengths of the chunks that a seed makes of a file."""
    cutter = FastCDC(CHUNK_NORMAL, min_size=CHUNK_MIN, max_size=CHUNK_MAX, seed=seed)
    return [chunk.length for chunk in cutter.cut_buf(known)]


def packed_in_order(chunks: Iterable[int]) -> list[int]:
    """Return the sizes of packs as they were before decision 67: filled in order, not padded."""
    sizes, limit = [8], 32 * MIB
    for length in chunks:
        if sizes[-1] + length + 29 > limit:
            sizes.append(8)
            limit = 64 * MIB
        sizes[-1] += length + 29
    return sizes


@pytest.mark.timeout(900)  # ten seconds of processor time
def test_packs_in_order_without_padding_gave_the_seed_away(known: bytes) -> None:
    """All 48 bits that count, from five sizes: the attack is one. The seed then tells how any other file is cut."""
    found = Attack(known, packed_in_order(lengths(known, SEED))).seeds()
    assert found == [SEED & SEED_MASK]
    other = known[77 * MIB : 97 * MIB]
    assert lengths(other, found[0]) == lengths(other, SEED)


@pytest.mark.timeout(900)
def test_the_listing_of_a_backup_gives_no_seed(cli: Cli, known: bytes, tmp_path: Path) -> None:
    """The same attack on what a backup stored finds nothing, and full packs have the size of all full packs."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "known").write_bytes(known)
    cli.backup(tmp_path / "source")
    vault = cli.vault
    with ContainerClient.from_connection_string(vault.endpoints.connection_string, vault.container) as container:
        packs = sorted(
            (blob.creation_time, blob.name, blob.size) for blob in container.list_blobs() if "/packs/" in blob.name
        )
    sizes = [size for _, _, size in packs]
    assert len(sizes) >= 5
    assert sum(size % (MIB // 2) != 0 for size in sizes) <= 1  # the last one, of those that were made in its second
    assert Attack(known, sizes).seeds() == []


def test_an_end_that_is_known_about_rules_no_seed_out(known: bytes) -> None:
    """Somewhere in 512 bytes nearly every seed's lowest bits could cut; padding and mixing leave half a million."""
    attack = Attack(known, packed_in_order(lengths(known, SEED)))
    somewhere = range(40 * MIB, 40 * MIB + 512)
    assert attack.lowest([somewhere]).bit_count() > 0.999 * ALL_SEEDS
