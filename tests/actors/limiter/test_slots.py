"""The one limit that all generation passes: in virtual time and drawn orders."""

from contextlib import closing
from itertools import pairwise

from limner.actors import PooledActor, SimulatedSystem
from limner.actors.event_log import EventLog
from limner.actors.limiter.limiter import LimiterActor
from limner.messages.limiter.protocol import RequestSlot, SessionGone
from limner.messages.limiter.settings import LaneSettings
from limner.messages.session.processing import PromptDetected
from limner.messages.studio.protocol import ReportStatus


def test_a_background_message_waits_for_an_active_one(open_simulated):
    one = open_simulated(seconds=60, slots=1)
    first = one.studio.illustrate("a", '<!--img-prompt="first"-->')
    one.until("generation_started")
    low = one.studio.illustrate("b", '<!--img-prompt="low"-->', priority="background")
    one.until("slot_requested", times=2)
    high = one.studio.illustrate("c", '<!--img-prompt="high"-->')
    one.until("slot_requested", times=3)
    assert one.studio.status().lanes["image"].waiting == 2
    for future in (first, low, high):
        future.get()
    assert prompts_in_order(one) == ["first", "high", "low"]


def prompts_in_order(one):
    """Return the prompts whose pictures were begun, in that order."""
    texts = {event["task_id"]: event["prompt"] for event in one.events("prompt_detected")}
    return [texts[event["task_id"]] for event in one.events("generation_started")]


def test_never_more_slots_are_out_than_there_are_and_none_is_left_idle(open_simulated):
    one = open_simulated(seconds=60, slots=3, latency=lambda lane, tag: 1_000)
    text = "".join(f'<!--img-prompt="{number}"-->' for number in range(4))
    futures = [one.studio.illustrate(f"m{number}", text) for number in range(3)]
    one.until("generation_started", times=3)
    for _ in range(20):
        assert one.studio.status().lanes["image"].out == 3 or one.now > 4 * 60 - 5
        one.let_pass(one.draw(10))
    for future in futures:
        assert len(future.get().pictures) == 4
    assert 4 * 60 <= one.now < 4 * 60 + 4 * one.SOON


def test_grants_keep_their_distance_and_no_more_than_that(open_simulated, story):
    one = open_simulated(min_time=1.5, slots=3)
    future = one.studio.illustrate("m", story)
    one.until("slot_granted")
    one.studio.limiter.update(max_concurrent=2)  # the distance from the last grant is kept
    future.get()
    granted = [round(event["t"] * 1_000_000) for event in one.events("slot_granted")]
    assert len(granted) == 3
    assert all(1_500_000 <= b - a < 1_500_000 + one.SOON * 1_000_000 for a, b in pairwise(granted))


def test_a_lease_that_ends_takes_the_slot_back(open_simulated, works_after):
    one = open_simulated(seconds={"deaf": 900}, deaf=["deaf"], lease=60, attempts=1, slots=1)
    result = one.studio.illustrate("m", '<!--img-prompt="deaf"-->').get()
    assert "lease" in result.failures[0].reason
    assert 60 <= one.between("slot_granted", "slot_expired") < 60 + one.SOON
    works_after(one)
    assert one.now < 900


def test_what_comes_twice_gives_no_slot_away_that_is_in_use(open_simulated):
    one = open_simulated(seconds=60, slots=1)
    stream = one.studio.stream("m")
    stream.feed('<!--img-prompt="a"-->')
    one.until("generation_started")
    one.let_pass(one.draw(50))
    (work,) = stream.processor.actor_inbox.actor.works.values()
    stream.processor.tell(work.attempt.grant)
    stream.processor.tell(PromptDetected(task=work.task))
    assert one.studio.progress("m").generating == 1
    assert one.studio.status().lanes["image"].out == 1
    assert len(stream.finish().get().pictures) == 1
    assert len(one.events("generation_started")) == 1
    assert one.events("slot_released")


def test_a_slot_that_crosses_with_the_withdrawal_of_its_prompt_goes_back(open_simulated):
    one = open_simulated(seconds=10, slots=1, latency=lambda lane, tag: 1_000)
    limiter = one.studio.limiter.ref.actor_inbox
    for number in range(10):
        first = one.studio.illustrate(f"a{number}", '<!--img-prompt="a"-->')
        one.until("generation_started", message_id=f"a{number}")
        second = one.studio.stream(f"b{number}")
        second.feed('<!--img-prompt="b"-->')
        one.until("slot_requested", message_id=f"b{number}")
        one.let_pass(5)
        one.system.run_until(lambda: not limiter.empty())  # the first slot is on its way back
        second.replace("no prompt")
        assert len(first.get().pictures) == 1
        one.let_pass(1)
        assert one.studio.status().lanes["image"].out == 0  # while the second still streams
        assert second.finish().get().written
    assert len(one.events("prompt_withdrawn")) == 10


class Asking(PooledActor):
    """Asks for slots, and notes what it hears."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def on_receive(self, message):
        self.heard.append(message)


def test_nothing_is_granted_to_a_session_that_is_being_taken_back():
    with closing(SimulatedSystem(1)) as system, system:
        limiter = LimiterActor.start(
            EventLog(system.clock, on=False), {"image": LaneSettings(max_concurrent=2)}
        )
        asking = Asking.start()
        for name, session, weight in (("a", "stays", 1), ("b", "gone", 2), ("c", "gone", 1)):
            limiter.tell(
                RequestSlot(
                    request_id=name,
                    session_id=session,
                    message_id="m",
                    task_id=name,
                    weight=weight,
                    reply_to=asking,
                )
            )
        limiter.tell(SessionGone(session_id="gone"))
        assert limiter.ask(ReportStatus())["image"].out == 1
        system.run_until(1)
        assert [message.request_id for message in asking.actor_inbox.actor.heard] == ["a"]
