"""`max_per_message`: a long message leaves room for others."""

import pytest

from limner.messages.limiter.settings import LaneSettings

SECONDS = 20


def text(prompts):
    return "".join(f'<!--img-prompt="{prompt}"-->' for prompt in prompts)


def most_at_one_time(one, message_id):
    """Return how many slots a message held at one time at most."""
    out, most = 0, 0
    for event in one.events(message_id=message_id):
        out += (event["event"] == "slot_granted") - (
            event["event"] in {"slot_released", "slot_revoked", "slot_expired"}
        )
        most = max(most, out)
    return most


def test_a_long_message_leaves_room_for_others(open_simulated):
    one = open_simulated(seconds=SECONDS, slots=4, max_per_message=3)
    long = one.studio.illustrate("long", text("abcdefgh"))
    one.until("generation_started", message_id="long", times=3)
    short = one.studio.illustrate("short", text("x")).get()
    assert len(short.pictures) == 1
    assert one.now < 1.5 * SECONDS, "it had to wait for none of the long one"
    result = long.get()
    assert [picture.prompt for picture in result.pictures] == list("abcdefgh")
    assert most_at_one_time(one, "long") == 3
    order = [event["prompt"] for event in one.events("generation_completed", message_id="long")]
    assert sorted(order[:3]) == list("abc")


@pytest.mark.parametrize("most", [1, 2, None])
def test_no_more_of_a_message_are_generated_than_may_be(open_simulated, most):
    one = open_simulated(seconds=SECONDS, slots=5, max_per_message=most)
    assert len(one.studio.illustrate("m", text("abcde")).get().pictures) == 5
    assert most_at_one_time(one, "m") == (most or 5)


def test_what_is_held_back_can_be_cancelled_and_prioritised(open_simulated):
    one = open_simulated(seconds=SECONDS, slots=5, max_per_message=1)
    future = one.studio.illustrate("m", text("abc"), priority="background")
    one.until("generation_started")
    held = [task for task in one.studio.tasks("m") if task.prompt in {"b", "c"}]
    one.studio.prioritise("m", "active")
    assert one.studio.cancel_task(held[0].task_id)
    result = future.get()
    assert [picture.prompt for picture in result.pictures] == ["a", "c"]
    requested = one.events("slot_requested")
    assert [event["priority"] for event in requested] == [7, 3]


def test_a_message_with_all_it_may_have_goes_on_after_failures(open_simulated):
    lane = LaneSettings(max_concurrent=5, lease=10)
    one = open_simulated(
        seconds={"a": 60, "b": 2, "c": 2}, lanes={"image": lane}, max_per_message=1
    )
    result = one.studio.illustrate("m", text("abc")).get()
    assert [picture.prompt for picture in result.pictures] == ["b", "c"]
    assert [failure.prompt for failure in result.failures] == ["a"]
    assert most_at_one_time(one, "m") == 1
