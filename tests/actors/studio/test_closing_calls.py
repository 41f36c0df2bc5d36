"""Closing with calls of hosts: what runs is waited for, what waits is refused, by a bound."""

import signal
import subprocess
import sys
import threading
from textwrap import dedent

import pytest

from limner.actors.generators import Instant
from limner.messages.errors import CloseRefused, LeaseEnded, SettingsInvalid, StudioClosed
from limner.messages.limiter.settings import LaneSettings

WAIT = 60
MINUTE = 60_000_000
TEXT = '<!--img-prompt="a"--> text'


def minutes(pool, tag):
    return MINUTE if str(tag).startswith(("call", "batch")) else 1_000


def state_of(future):
    """Return what a call gives, or the error that it raises."""
    try:
        return future.get(timeout=0)
    except StudioClosed as error:
        return "ended" if "had ended" in str(error) else "never run"


class TestWaitsForCalls:
    """In virtual time, where each call takes a minute."""

    @pytest.mark.parametrize("leave", ["close", "with"])
    def test_what_runs_ends_and_what_waits_is_refused(self, open_simulated, leave):
        one = open_simulated(slots=2, latency=minutes)
        ran = []
        futures = [
            one.studio.limiter.schedule(lambda number=number: ran.append(number) or number)
            for number in range(5)
        ]
        one.until("slot_granted", times=2)
        one.let_pass(1)
        if leave == "close":
            one.studio.close()
        else:
            with one.studio:
                pass
        assert [state_of(future) for future in futures] == [0, 1] + ["never run"] * 3
        assert sorted(ran) == [0, 1]
        assert one.now > 60
        with pytest.raises(StudioClosed):
            one.studio.limiter.schedule(int)

    def test_the_text_goes_first_and_calls_go_on_meanwhile(self, open_simulated):
        one = open_simulated(slots=1, seconds=90, latency=minutes)
        one.studio.limiter.schedule(int)
        text = one.studio.illustrate("m", TEXT)
        one.until("generation_started")
        call = one.studio.limiter.schedule(lambda: 5)
        one.until("slot_requested", times=3)
        one.studio.close()
        assert len(text.get().pictures) == 1
        assert state_of(call) in (5, "never run")

    def test_a_generator_may_make_calls_while_the_studio_closes(self, open_simulated):
        class Asking:
            def generate(self, task, cancelled):
                line = one.studio.limiter.schedule(lambda: "a line", lane="words").get()
                assert line == "a line"
                return Instant().generate(task, cancelled)

        lanes = {"words": LaneSettings()}
        one = open_simulated(lanes=lanes, generator=Asking(), latency=minutes)
        text = one.studio.illustrate("m", TEXT)
        one.until("generation_started")
        one.studio.close()
        assert len(text.get().pictures) == 1

    def test_a_batch_that_runs_ends_and_one_that_gathers_is_refused(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes)
        batches = one.studio.limiter.collect(list, max_size=2, max_time=600)
        futures = [batches.add(number) for number in range(3)]
        one.until("slot_granted")
        one.let_pass(1)
        one.studio.close()
        assert [state_of(future) for future in futures] == [0, 1, "never run"]

    def test_past_the_timeout_what_runs_fails_and_says_so(self, open_simulated):
        one = open_simulated(slots=2, latency=lambda pool, tag: minutes(pool, tag) * 60)
        futures = [one.studio.limiter.schedule(int) for _ in range(3)]
        one.until("slot_granted", times=2)
        one.let_pass(1)
        before = one.now
        one.studio.close(timeout=30)
        assert 30 <= one.now - before < 31
        assert [state_of(future) for future in futures] == ["ended", "ended", "never run"]
        assert len(one.events("call_abandoned")) == 2

    def test_without_a_timeout_a_call_has_until_the_end_of_its_lease(self, open_simulated):
        one = open_simulated(slots=1, lease=100, latency=lambda pool, tag: None)
        future = one.studio.limiter.schedule(int)
        one.until("slot_granted")
        one.let_pass(1)
        one.studio.close()
        with pytest.raises(LeaseEnded):
            future.get()
        assert one.now < 110

    def test_past_the_timeout_a_text_is_written_with_what_is_finished(self, open_simulated):
        one = open_simulated(seconds={"slow": 3_000}, deadline=4_000, lease=4_000)
        text = one.studio.illustrate("m", TEXT + '<!--img-prompt="slow"-->')
        one.until("generation_completed")
        before = one.now
        one.studio.close(timeout=20)
        result = text.get()
        assert (len(result.pictures), len(result.failures)) == (1, 1)
        assert one.now - before < 20 + 10

    def test_left_by_an_interrupt_calls_have_the_grace(self, open_simulated):
        one = open_simulated(slots=1, grace=5, latency=minutes)
        future = one.studio.limiter.schedule(int)
        one.until("slot_granted")
        one.let_pass(1)
        before = one.now
        with pytest.raises(KeyboardInterrupt), one.studio:
            raise KeyboardInterrupt
        assert one.now - before < 6
        assert state_of(future) == "ended"

    def test_left_by_an_error_of_the_host_calls_are_waited_for(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes)
        future = one.studio.limiter.schedule(lambda: 7)
        one.until("slot_granted")
        one.let_pass(1)
        with pytest.raises(KeyError), one.studio:
            raise KeyError
        assert state_of(future) == 7

    def test_calls_that_return_at_once_leave_nothing_behind(self, open_simulated):
        one = open_simulated(slots=1)
        futures = [one.studio.limiter.schedule(lambda: 3, blocks=False) for _ in range(50)]
        one.studio.close()
        assert {state_of(future) for future in futures} <= {3, "never run"}

    def test_a_limiter_that_fails_while_calls_are_waited_for_ends_them(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes, audited=False)
        future = one.studio.limiter.schedule(int)
        one.until("slot_granted")
        one.let_pass(1)
        one.studio._begin_close()
        one.let_pass(1)
        one.studio.limiter.ref.deliver(None)
        one.studio.limiter.ref.end()
        one.studio.close()
        assert state_of(future) == "ended"


class TestOnThreads:
    """With real threads."""

    def test_a_running_call_is_carried_through_to_its_last_line(self, open_studio):
        one = open_studio(slots=1)
        begun, gate, lines = threading.Event(), threading.Event(), []

        def call():
            begun.set()
            gate.wait(WAIT)
            lines.append("last")
            return "done"

        future = one.studio.limiter.schedule(call)
        waits = one.studio.limiter.schedule(int)
        assert begun.wait(WAIT)
        closing = threading.Thread(target=one.studio.close)
        closing.start()
        with pytest.raises(StudioClosed, match="never run"):
            waits.get(timeout=WAIT)
        assert closing.is_alive()
        gate.set()
        closing.join(WAIT)
        assert not closing.is_alive()
        assert (future.get(timeout=0), lines) == ("done", ["last"])

    def test_closing_twice_at_once_waits_for_the_same_end_and_the_shorter_bound_holds(
        self, open_studio
    ):
        one = open_studio(slots=1, lost_threads=1)
        begun, gate = threading.Event(), threading.Event()
        future = one.studio.limiter.schedule(lambda: (begun.set(), gate.wait(WAIT)))
        assert begun.wait(WAIT)
        first = threading.Thread(target=one.studio.close)
        first.start()
        one.studio.close(timeout=0)
        first.join(WAIT)
        assert not first.is_alive()
        with pytest.raises(StudioClosed, match="may run on"):
            future.get(timeout=0)
        gate.set()

    def test_a_call_cannot_close_what_waits_for_it(self, open_studio):
        one = open_studio()
        with pytest.raises(CloseRefused):
            one.studio.limiter.schedule(one.studio.close).get(timeout=WAIT)
        with pytest.raises(CloseRefused):
            one.studio.limiter.schedule(one.studio.close, blocks=False).get(timeout=WAIT)
        assert one.studio.limiter.schedule(lambda: 1).get(timeout=WAIT) == 1

    @pytest.mark.parametrize("wrong", [-1, "5", float("nan"), True])
    def test_a_timeout_that_is_none_is_refused_and_the_studio_stays_open(self, open_studio, wrong):
        one = open_studio()
        with pytest.raises(SettingsInvalid, match="timeout"):
            one.studio.close(timeout=wrong)
        assert one.studio.limiter.schedule(lambda: 1).get(timeout=WAIT) == 1


PROGRAM = """
import sys, threading
from limner.actors import Settings, Studio

begun = threading.Event()

def call():
    begun.set()
    threading.Event().wait({seconds})
    print("the last line", flush=True)
"""


def run(lines, *, seconds, stop=None):
    """Run a program that makes a call, and return how it ended and what it said."""
    program = PROGRAM.format(seconds=seconds) + dedent(lines)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if stop is not None:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(stop)
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


class TestPrograms:
    """Whole programs."""

    def test_the_with_block_is_left_after_the_call(self):
        lines = """
        with Studio.open(Settings(store="memory:"), generator="instant") as studio:
            studio.limiter.schedule(call)
            begun.wait(30)
        print("left", flush=True)
        """
        assert run(lines, seconds=0.5) == (0, "the last line\nleft\n", "")

    def test_a_program_that_ends_without_closing_has_its_grace(self):
        lines = """
        studio = Studio.open(Settings(store="memory:", grace=20), generator="instant")
        studio.limiter.schedule(call)
        begun.wait(30)
        """
        assert run(lines, seconds=0.5)[:2] == (0, "the last line\n")

    def test_ctrl_c_does_not_wait_for_a_call_that_hangs(self):
        lines = """
        with Studio.open(Settings(store="memory:", grace=0.5), generator="instant") as studio:
            studio.limiter.schedule(call)
            begun.wait(30)
            print("ready", flush=True)
            threading.Event().wait(60)
        """
        code, out, error = run(lines, seconds=100, stop=signal.SIGINT)
        assert (code, out) == (-signal.SIGINT, "")
        assert "KeyboardInterrupt" in error
