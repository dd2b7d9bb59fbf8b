"""Mutated inputs for every parser: `python -m tests.fuzz.loop [--inputs N] [--seed N] [PARSER ...]`.

What a parser does not take it refuses by an error of ours, within its bounds; what it takes it writes again to bytes
that it reads as the same, and from then on byte for byte. What it learns to take joins the corpus of the run.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from dataclasses import dataclass

from azbackup.errors import AzbackupError
from tests.fuzz.parsers import Parser, parsers

_ODD = (0, 1, 0x7F, 0x80, 0x90, 0xA0, 0xC0, 0xC4, 0xC6, 0xCF, 0xD3, 0xDC, 0xDD, 0xDF, 0xFF)
_LONGEST = 4096
_CORPUS = 2000
MOST_GROWTH_KIB = 400 * 1024  # of the process, over all inputs of a parser


@dataclass
class Tried:
    """How many inputs there were, how many were taken, in how many seconds."""

    inputs: int = 0
    taken: int = 0
    seconds: float = 0.0


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """The bytes with a few changes, or spliced with others."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(found) + 1)
        how = rng.randrange(8)
        if how == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif how == 1 and at < len(found):
            found[at] = rng.choice(_ODD)
        elif how == 2 and at < len(found):
            found[at] = (found[at] + rng.choice((-1, 1))) % 256
        elif how == 3:
            del found[at : at + rng.choice((1, 2, 8, 64))]
        elif how == 4:
            found[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8)))
        elif how == 5:
            found[at:at] = found[at : at + rng.choice((1, 4, 32))]
        elif how == 6:
            found[at : at + 8] = rng.choice((b"\xff", b"\x7f", b"\x00", b"\x80")) * rng.choice((2, 4, 8))
        else:
            start = rng.randrange(len(other) + 1)
            found[at:] = other[start : start + rng.choice((4, 64, _LONGEST))]
    return bytes(found[:_LONGEST])


def check(parser: Parser, data: bytes) -> bool:
    """Whether an input is taken. Fails where it is neither taken as promised nor refused by an error of ours."""
    try:
        value = parser.parse(data)
    except AzbackupError:
        return False
    if parser.write is not None:
        written = parser.write(value)
        again = parser.parse(written)
        assert again == value, data
        assert parser.write(again) == written, data
    return True


def run(parser: Parser, inputs: int, seed: int) -> Tried:
    """Try so many inputs. Raises AssertionError, or whatever a parser should not have raised."""
    rng, corpus, tried = random.Random(seed), list(parser.seeds), Tried()
    for each in parser.seeds:  # what was stored is written again byte for byte
        if check(parser, each) and parser.write is not None:
            assert parser.write(parser.parse(each)) == each
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(inputs):
        data = mutate(rng.choice(corpus), rng.choice(corpus), rng)
        try:
            taken = check(parser, data)
        except BaseException:
            sys.stderr.write(f"the input: {data.hex()}\n")
            raise
        tried.inputs += 1
        tried.taken += taken
        if taken and rng.random() < 0.05 and len(corpus) < _CORPUS:
            corpus.append(data)
    tried.seconds = time.monotonic() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MOST_GROWTH_KIB, f"{grown} KiB"
    return tried


def main() -> int:
    """Try some or all."""
    add = (options := argparse.ArgumentParser(prog="python -m tests.fuzz.loop")).add_argument
    add("--inputs", type=int, default=1_000_000, help="for each parser (1,000,000)")
    add("--seed", type=int, default=1)
    add("names", nargs="*", metavar="PARSER")
    args = options.parse_args()
    for name, parser in parsers().items():
        if not args.names or name in args.names:
            tried = run(parser, args.inputs, args.seed)
            sys.stdout.write(f"{name}: {tried.inputs:,} inputs, {tried.taken:,} taken, {tried.seconds:.0f} s\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
