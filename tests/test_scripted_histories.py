"""What was recorded of drawn histories by the version before still comes of them."""

import difflib
import json
from pathlib import Path

import pytest
from support.scripted_histories import HISTORIES, play, read

RECORDED = Path(__file__).parent / "fixtures" / "histories.json.gz"
GROUPS = 10


@pytest.fixture(scope="module")
def recorded():
    return read(RECORDED)


def lines(history):
    return json.dumps(history, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def difference(number, before, now):
    """Return how a history has changed, as a diff of at most 60 lines."""
    diff = difflib.unified_diff(lines(before), lines(now), "recorded", "now", lineterm="", n=6)
    return "\n".join([f"history {number}:", *list(diff)[:60]])


@pytest.mark.parametrize("group", range(GROUPS))
def test_histories_come_out_as_they_were_recorded(recorded, group):
    numbers = sorted(recorded)[group::GROUPS]
    assert len(numbers) == HISTORIES / GROUPS
    for number in numbers:
        now = play(number)
        assert now == recorded[number], difference(number, recorded[number], now)


def test_a_history_hangs_on_its_number_alone(recorded):
    number = min(recorded)
    assert play(number, seed="another order of turns") == recorded[number]
