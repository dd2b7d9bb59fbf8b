"""A minute of the soak, with fixed seeds; and that it makes a failing history smaller. `make soak` goes on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emulator.archive import ArchiveSimulator
from emulator.azurite import Azurite
from tests.soak.driver import Driver
from tests.soak.history import KINDS, Step, draw, from_text, shrink, to_text

STEPS = 16


@pytest.mark.timeout(3600)  # some thirty runs of the scripts, one after the other
@pytest.mark.parametrize("seed", range(3))
def test_a_vault_lives_as_the_model_says(azurite: Azurite, archive: ArchiveSimulator, seed: int) -> None:
    """Backups, restores, kills, faults and losses of a fixed history end, say and leave what the model says."""
    failure = Driver(azurite, archive).play(draw(seed, STEPS))
    assert failure is None, (
        f"{failure.message}\n.venv/bin/python -m tests.soak --replay '{to_text(failure.steps)}'" if failure else ""
    )


UPKEEP = (
    *("begin", "back_up", "back_up_changes", "back_up_changes", "back_up_changes", "forget", "verify", "recall"),
    *("back_up_changes", "keep_last", "weeks_later", "restore_whole", "read_independently", "back_up", "verify"),
    *("lose_rows", "forget", "verify", "repair", "verify", "keep_last", "weeks_later", "lose_table", "restore_whole"),
    *(
        "back_up_changes",
        "add_password",
        "change_password",
        "remove_password",
        "verify",
        "use_old_password",
        "rewrite",
        "age",
        "restore_all",
    ),
)


def test_upkeep(azurite: Azurite, archive: ArchiveSimulator) -> None:
    """Snapshots that are removed, recalled and deleted weeks later, verified and repaired, one after the other."""
    steps = [Step(name, number) for number, name in enumerate(UPKEEP)]
    failure = Driver(azurite, archive).play(steps)
    assert failure is None, failure.message if failure else ""


def test_a_failing_history_is_made_smaller() -> None:
    """What a failure does not need is left out, wherever it stands; the order stays."""
    steps = [Step("mutate", number) for number in range(60)]
    needed = [steps[7], steps[31], steps[58]]

    def fails(some: Sequence[Step]) -> bool:
        return [each for each in some if each in needed] == needed

    assert shrink(steps, fails) == needed


def test_a_history_is_the_same_for_the_same_seed() -> None:
    """A seed, and the text of a history, say all of it; every kind of step but the first comes."""
    steps = draw(5, 1000)
    assert steps == draw(5, 1000)
    assert from_text(to_text(steps)) == steps
    assert {each.name for each in steps} == set(KINDS)
