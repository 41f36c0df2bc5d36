"""What a quick scenario finds to be out for too long."""

import pytest

from limner.scripts.simulate.delays import Delays


def found(*events):
    delays = Delays(600)
    lines = []
    for t, name, fields in events:
        lines += delays.feed({"t": t, "event": name, "slot_id": "s", "session_id": "n", **fields})
    return lines


TASK = {"task_id": "t"}
SETTLED = (1.0, "task_settled", TASK)


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([SETTLED, (2.5, "slot_granted", TASK)], "task t gets a slot 1.5 s after it has settled"),
        (
            [(0.5, "slot_granted", TASK), SETTLED, (2.5, "slot_released", TASK)],
            "slot s is out 1.5 s for a settled task",
        ),
        ([SETTLED, (3.0, "request_withdrawn", TASK)], "task t waits for a slot 2.0 s after"),
        ([(60.0, "slot_expired", TASK)], "slot s has expired"),
        (
            [(0.0, "session_sealed", {}), (600.0, "session_ended", {})],
            "session n has taken 600.0 s after its seal",
        ),
    ],
)
def test_what_is_out_for_long_is_told(events, line):
    (told,) = found(*events)
    assert told.startswith(line)


def test_what_is_returned_at_once_is_no_problem():
    assert not found(
        (0.0, "slot_granted", TASK),
        SETTLED,
        (1.2, "slot_released", TASK),
        (1.3, "request_withdrawn", TASK),
        (0.0, "session_sealed", {}),
        (7.0, "session_ended", {}),
    )
