"""A back end that is gone costs pictures, never texts: in virtual time and drawn orders."""

import logging

import pytest

from limner.actors.generators import Instant
from limner.messages.errors import GenerationFailed

PICTURE = Instant().generate(None, None)
ADDRESS = "http://10.0.0.7:7860/?key=opensesame"


class Machine:
    """A back end that is dead until a time.

    Args:
        alive_from: seconds of virtual time.
    """

    def __init__(self, alive_from=float("inf")):
        self.alive_from = alive_from
        self.system = None
        self.calls = 0

    def generate(self, task, cancelled):
        self.calls += 1
        if self.system.clock.now < self.alive_from * 1_000_000:
            raise ConnectionError(f"{ADDRESS} refused the connection")
        return PICTURE


def text_of(number, pictures=4):
    tags = "".join(f'<!--img-prompt="picture {place} of {number}"--> ' for place in range(pictures))
    return f"text {number} {tags}"


@pytest.fixture
def open_with(open_simulated):
    def open_one(machine, **settings):
        one = open_simulated(generator=machine, latency=lambda lane, tag: 1_000, **settings)
        machine.system = one.system
        return one

    return open_one


def test_with_a_dead_machine_each_text_is_written(open_with):
    machine = Machine()
    one = open_with(machine)
    futures = [one.studio.illustrate(f"m{n}", text_of(n)) for n in range(12)]
    for number, future in enumerate(futures):
        result = future.get()
        assert result.written
        assert result.text == text_of(number)
        assert len(result.failures) == 4
    assert one.now < 300
    assert machine.calls < 20
    assert not one.events("session_ended", outcome="timed_out")


def test_the_reason_names_lane_circuit_and_last_error(open_with):
    one = open_with(Machine(), placeholders=True)
    result = one.studio.illustrate("m", text_of(0, pictures=12)).get()
    dropped = [failure.reason for failure in result.failures if "dropped" in failure.reason]
    assert dropped
    for reason in dropped:
        assert "the circuit of lane 'image' is open after" in reason
        assert "the last one: the generator failed (ConnectionError)" in reason
    assert "opensesame" not in one.path.read_text()
    assert "10.0.0.7" not in result.text
    assert "10.0.0.7" not in str(result.failures)
    status, report = one.studio.status().lanes["image"], one.studio.limiter.report("image")
    for lane in (status, report):
        assert lane.state in {"resting", "probing"}
        assert lane.failures >= 10
        assert lane.last_error.startswith("ConnectionError: http://10.0.0.7:7860/?key=***")


def test_one_line_is_logged_as_a_circuit_opens_and_one_as_it_closes(open_with, caplog):
    machine = Machine(alive_from=20)
    one = open_with(machine)
    with caplog.at_level(logging.WARNING, logger="limner"):
        one.studio.illustrate("m", text_of(0, pictures=12)).get()
    opened, closed = [record.getMessage() for record in caplog.records if record.name == "limner"]
    assert opened.startswith("lane image: its circuit is open after 10 failures in a row")
    assert "ConnectionError" in opened
    assert "opensesame" not in opened
    assert closed == "lane image: its back end works again"


def test_a_machine_that_reloads_for_half_a_minute_loses_nothing(open_with):
    one = open_with(Machine(alive_from=30), backoff=5)
    results = [one.studio.illustrate(f"m{n}", text_of(n)) for n in range(6)]
    pictures = [len(future.get().pictures) for future in results]
    assert sum(pictures) >= 24 - 10
    assert not any(event["reason"] for event in one.events("request_dropped"))


def test_with_no_patience_set_the_deadline_writes_the_text(open_with):
    one = open_with(Machine(), circuit_patience=None, attempts=100)
    result = one.studio.illustrate("m", text_of(0, pictures=12)).get()
    assert result.text == text_of(0, pictures=12)
    assert 300 <= one.now < 302
    for failure in result.failures:
        assert failure.state == "cancelled"
    assert any("the generator failed (ConnectionError)" in f.reason for f in result.failures)


def test_a_late_picture_of_an_interrupted_message_is_not_placed_by_itself(open_simulated):
    one = open_simulated(seconds={"slow": 400}, deaf=["slow"], latency=lambda lane, tag: 1_000)
    stream = one.studio.stream("m")
    stream.feed('<!--img-prompt="slow"-->')
    one.until("generation_started")
    stream.interrupt().get()
    one.until("generation_late")
    one.let_pass(10)
    assert not one.events("text_edited")


def test_a_late_picture_leaves_a_text_that_is_gone_alone(open_simulated):
    one = open_simulated(
        seconds={"slow": 400},
        deaf=["slow"],
        latency=lambda lane, tag: 1_000,
        generation_timeout=3_600,
    )
    one.studio.illustrate("m", '<!--img-prompt="slow"-->').get()
    one.store.texts.pop("m")
    one.until("generation_late")
    one.let_pass(10)
    assert one.store.load("m") is None
    assert one.studio.illustrate("n", "text").get().written


def test_an_error_that_is_no_retry_s_business_opens_no_circuit(open_with):
    class Refusing(Machine):
        def generate(self, task, cancelled):
            raise GenerationFailed("the prompt is refused", retryable=False)

    one = open_with(Refusing())
    result = one.studio.illustrate("m", text_of(0, pictures=30)).get()
    assert {failure.reason for failure in result.failures} == {"the prompt is refused"}
    assert not one.events("circuit_open")
