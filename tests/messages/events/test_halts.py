"""Why a lane grants nothing for a while."""

from math import inf

import pytest

from limner.messages.events.halts import Halts


def told(*events):
    halts = Halts()
    for t, name, fields in events:
        halts.take({"event": name, **fields}, round(t * 1_000_000))
    return halts


def at(seconds):
    return round(seconds * 1_000_000)


def test_a_pause_lasts_for_its_seconds_or_until_the_lane_is_resumed():
    for_a_while = told((1, "lane_paused", {"seconds": 2}))
    assert for_a_while.until(at(1)) == at(3)
    assert for_a_while.why(at(2.9)) == "paused"
    assert for_a_while.why(at(3)) == ""
    assert told((1, "lane_paused", {"seconds": None})).until(at(1)) == inf
    resumed = told((1, "lane_paused", {"seconds": None}), (4, "lane_resumed", {}))
    assert resumed.until(at(4)) == at(4)
    assert resumed.spent(at(9)) == at(3)


def test_a_back_end_that_asks_to_be_left_alone_ends_no_longer_pause():
    asked = {"seconds": 1, "reason": "its back end asked for it"}
    assert told((0, "lane_paused", {"seconds": 9}), (1, "lane_paused", asked)).until(0) == at(9)
    assert told((0, "lane_paused", {"seconds": 9}), (1, "lane_paused", {"seconds": 1})).until(
        at(1)
    ) == at(2)


def test_an_open_circuit_rests_for_as_long_as_its_lane_says_and_then_probes():
    opened = (0, "lane_opened", {"circuit_seconds": 5})
    halts = told(opened, (2, "circuit_open", {"failures": 3}))
    assert halts.until(at(2)) == at(7)
    assert (halts.why(at(3)), halts.spent(at(20))) == ("resting", at(5))
    halts = told(opened, (2, "circuit_open", {}), (7, "circuit_half_open", {}))
    assert (halts.why(at(8)), halts.until(at(8))) == ("probing", at(8))
    halts = told(opened, (2, "circuit_open", {}), (3, "lane_updated", {"adapt": False}))
    assert halts.why(at(3)) == ""


def test_what_a_lane_is_to_come_to_goes_before_how_it_is():
    ending = told((0, "lane_paused", {"seconds": None}), (1, "lane_ending", {"how": "stopped"}))
    assert ending.why(at(2)) == "stopped"


@pytest.mark.parametrize("odd", [None, -1, "1", [], {}, True, 1e300, float("nan")])
def test_fields_of_any_type_give_no_traceback(odd):
    fields = {"seconds": odd, "circuit_seconds": odd, "reason": odd, "how": odd, "adapt": odd}
    for name in ("lane_opened", "lane_paused", "circuit_open", "lane_ending", "circuit_", "lane_"):
        halts = told((1, name, fields), (2, "lane_paused", fields))
        assert halts.until(at(3)) >= at(3)
        assert halts.spent(at(4)) <= at(4)
