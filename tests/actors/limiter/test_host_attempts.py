"""Calls of hosts that are tried again, time out, are cancelled, give way, and have names."""

import threading
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.errors import (
    CallTimedOut,
    GenerationFailed,
    SettingsInvalid,
    SlotRefused,
    StudioClosed,
)
from limner.messages.limiter.backpressure import GOOD, verdict_of_error, verdict_of_value
from limner.messages.limiter.call_rules import ONCE, CallRules, name_of, rules_of, takes_cancelled

WAIT = 60


class Answers:
    """A call that gives one answer after another, and raises those that are exceptions."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def status(number, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=number, headers=named)


class Http(Exception):
    def __init__(self, number, **headers):
        super().__init__(number)
        self.response = status(number, **headers)


class TestRetries:
    """The rules are those of generators."""

    def test_a_call_is_made_again_through_the_lane_and_its_slot_returns_meanwhile(
        self, open_simulated
    ):
        one = open_simulated(backoff=2, backoff_max=30)
        call = Answers(OSError("a"), TimeoutError("b"), 3)
        future = one.studio.limiter.schedule(call, blocks=False, attempts=3)
        assert future.get() == 3
        grants, releases = one.events("slot_granted"), one.events("slot_released")
        assert [grant["task_id"] for grant in grants] == [future.name] * 3
        assert len({grant["request_id"] for grant in grants}) == 3
        for release, grant, longest in zip(releases, grants[1:], (2, 4), strict=False):
            assert longest / 2 <= round(grant["t"] - release["t"], 3) <= longest + 0.1
        failed = one.events("call_failed")
        assert [(told["attempt"], told["final"]) for told in failed] == [(1, False), (2, False)]
        assert len(one.events("call_retried")) == 2

    def test_the_last_failure_is_the_future_s_and_the_log_has_it_masked(self, open_simulated):
        one = open_simulated(backoff=0)
        call = Answers(OSError("one"), OSError("https://x/?key=secret"), 3)
        with pytest.raises(OSError, match="secret"):
            one.studio.limiter.schedule(call, blocks=False, attempts=2).get()
        first, last = one.events("call_failed")
        assert (first["final"], last["final"], last["lane"]) == (False, True, "image")
        assert "secret" not in last["reason"]

    def test_a_back_end_is_called_again_no_earlier_than_it_asks(self, open_simulated):
        one = open_simulated(backoff=0, lanes={"image": {"adapt": False}})
        call = Answers(Http(429, retry_after="7.5"), "done")
        assert one.studio.limiter.schedule(call, blocks=False, attempts=2).get() == "done"
        assert 7.5 <= one.now < 7.6

    def test_an_answer_that_says_later_is_tried_again_and_the_last_one_is_given(
        self, open_simulated
    ):
        one = open_simulated(backoff=0)
        busy, other = status(503), status(529)
        call = Answers(busy, status(200))
        assert one.studio.limiter.schedule(call, blocks=False, attempts=2).get().status_code == 200
        call = Answers(busy, other)
        assert one.studio.limiter.schedule(call, blocks=False, attempts=2).get() is other

    def test_only_named_errors_are_tried_again_if_some_are_named(self, open_simulated):
        limiter = open_simulated(backoff=0).studio.limiter
        call = Answers(KeyError("a"), 1)
        again = {"attempts": 2, "retry_on": KeyError, "blocks": False}
        assert limiter.schedule(call, **again).get() == 1
        with pytest.raises(OSError):
            limiter.schedule(Answers(OSError(), 1), **again).get()
        with pytest.raises(KeyError):
            limiter.schedule(Answers(KeyError("a"), 1), blocks=False, attempts=2).get()

    def test_a_call_that_waits_to_be_made_again_can_be_cancelled(self, open_simulated):
        one = open_simulated(backoff=30)
        call = Answers(OSError(), 1)
        future = one.studio.limiter.schedule(call, blocks=False, attempts=2)
        one.until("call_retried")
        assert future.cancel()
        with pytest.raises(SlotRefused):
            future.get()
        one.let_pass(100)
        assert call.calls == 1
        assert one.studio.limiter.counts()["waiting"] == 0

    def test_a_call_that_waits_to_be_made_again_is_refused_as_the_studio_closes(
        self, open_simulated
    ):
        one = open_simulated(backoff=30)
        future = one.studio.limiter.schedule(Answers(OSError(), 1), blocks=False, attempts=2)
        one.until("call_retried")
        one.studio.close()
        with pytest.raises(StudioClosed):
            future.get()


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OSError(), True),
        (TimeoutError(), True),
        (Http(408), True),
        (Http(429), True),
        (Http(500), True),
        (Http(503), True),
        (Http(400), False),
        (Http(404), False),
        (GenerationFailed("busy"), True),
        (GenerationFailed("refused", retryable=False), False),
        (KeyError("x"), False),
        (SystemExit(), False),
    ],
)
def test_the_usual_reading_tries_again_what_a_retry_may_mend(error, again):
    verdict = verdict_of_error(error, 0, own=True)
    assert CallRules(attempts=2).tries_again(1, error, verdict) == again
    assert not CallRules(attempts=2).tries_again(2, error, verdict)
    assert not CallRules(attempts=9).tries_again(1, None, GOOD)
    assert CallRules(attempts=9).tries_again(1, None, verdict_of_value(status(429), 0))


class TestTimeouts:
    """A call may take so long, and is abandoned then."""

    def test_a_call_that_takes_too_long_is_cancelled_and_abandoned(self, open_studio):
        one = open_studio(slots=1)
        seen = threading.Event()

        def call(cancelled):
            cancelled.wait(WAIT)
            seen.set()

        limiter = one.studio.limiter
        with pytest.raises(CallTimedOut, match=r"0\.05 s"):
            limiter.schedule(call, timeout=0.05).get(timeout=WAIT)
        assert seen.wait(WAIT)
        assert limiter.schedule(lambda: 1).get(timeout=WAIT) == 1
        assert limiter.counts()["out"] == 0
        (told,) = one.events("call_failed")
        assert told["final"]

    def test_a_call_that_took_too_long_may_be_made_again(self, open_studio):
        calls = []

        def call(cancelled):
            calls.append(cancelled)
            if len(calls) == 1:
                cancelled.wait(WAIT)
                return "late"
            return "in time"

        one = open_studio(backoff=0)
        future = one.studio.limiter.schedule(call, timeout=1, attempts=2)
        assert future.get(timeout=WAIT) == "in time"

    def test_context_variables_are_those_of_who_scheduled_it(self, open_studio):
        user = ContextVar("user", default="nobody")
        user.set("alice")
        calls = []

        def call():
            calls.append(user.get())
            user.set("mallory")
            if len(calls) == 1:
                raise OSError
            return user.get()

        one = open_studio(backoff=0)
        future = one.studio.limiter.schedule(call, attempts=2)
        user.set("bob")
        assert future.get(timeout=WAIT) == "mallory"
        assert calls[0] == "alice"
        assert user.get() == "bob"


PREEMPTING = {"image": {"max_concurrent": 1, "preempt": True, "grace": 0.1}}


class TestPreemption:
    """A call that says so gives way to an active request."""

    @pytest.mark.parametrize("deaf", [False, True])
    def test_a_call_gives_way_and_is_made_again(self, open_studio, deaf):
        one = open_studio(lanes=PREEMPTING)
        limiter = one.studio.limiter
        begun, go_on = threading.Event(), threading.Event()
        calls = []

        def low(cancelled):
            calls.append(1)
            if len(calls) > 1:
                return "again"
            begun.set()
            (go_on if deaf else cancelled).wait(WAIT)
            raise OSError("it was stopped")

        future = limiter.schedule(low, priority="background", preemptible=True)
        assert begun.wait(WAIT)
        assert limiter.schedule(lambda: "high").get(timeout=WAIT) == "high"
        assert future.get(timeout=WAIT) == "again"
        go_on.set()
        assert len(one.events("slot_asked_back")) == 1
        assert one.events("call_failed") == []

    def test_a_result_that_comes_all_the_same_is_kept(self, open_studio):
        one = open_studio(lanes=PREEMPTING)
        begun = threading.Event()

        def low(cancelled):
            begun.set()
            cancelled.wait(WAIT)
            return "done"

        future = one.studio.limiter.schedule(low, priority="background", preemptible=True)
        assert begun.wait(WAIT)
        assert one.studio.limiter.schedule(lambda: 1).get(timeout=WAIT) == 1
        assert future.get(timeout=WAIT) == "done"
        assert len(one.events("slot_granted")) == 2


class TestNames:
    """Names that a host gives, and the calls that run."""

    def test_a_name_stands_in_the_log_and_is_given_once_at_a_time(self, open_simulated):
        one = open_simulated()
        limiter = one.studio.limiter
        limiter.pause()
        future = limiter.schedule(lambda: 1, blocks=False, name="embed:7")
        with pytest.raises(SettingsInvalid, match="embed:7"):
            limiter.schedule(lambda: 2, blocks=False, name="embed:7")
        limiter.resume()
        assert future.get() == 1
        assert future.name == "embed:7"
        assert limiter.schedule(lambda: 2, blocks=False, name="embed:7").get() == 2
        assert {told["task_id"] for told in one.events("slot_granted")} == {"embed:7"}

    def test_names_of_calls_that_have_ended_are_forgotten(self, open_simulated):
        limiter = open_simulated().studio.limiter
        for number in range(1_000):
            limiter.schedule(int, blocks=False, name=f"n{number}").get()
        assert len(limiter._named_calls) <= 200

    def test_running_calls_are_listed(self, open_studio):
        one = open_studio(slots=2, lanes={"other": {}})
        limiter = one.studio.limiter
        begun, go_on = threading.Barrier(3), threading.Event()

        def call():
            begun.wait(WAIT)
            go_on.wait(WAIT)

        futures = [
            limiter.schedule(call, name="mine", owner="alice", weight=2),
            limiter.schedule(call, lane="other"),
        ]
        begun.wait(WAIT)
        assert {found.name for found in limiter.running()} == {future.name for future in futures}
        (mine,) = limiter.running("image")
        assert (mine.name, mine.owner, mine.weight) == ("mine", "alice", 2)
        go_on.set()
        for future in futures:
            future.get(timeout=WAIT)
        assert limiter.running() == ()
        with pytest.raises(SettingsInvalid):
            limiter.running("nonesuch")


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 1.5},
        {"retry_on": "OSError"},
        {"retry_on": [OSError, 3]},
        {"retry_on": 3},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": 1e6},
        {"timeout": "5"},
        {"name": ""},
        {"name": "a b"},
        {"name": "call-7"},
        {"name": "image#3"},
        {"name": 7},
    ],
)
def test_what_cannot_be_is_refused_in_one_clear_line(open_simulated, wrong):
    with pytest.raises(SettingsInvalid, match=next(iter(wrong))) as refused:
        open_simulated().studio.limiter.schedule(int, **wrong)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=200))
def test_a_name_is_taken_or_refused(name):
    with suppress(SettingsInvalid):
        assert name_of(name) == name


def test_a_parameter_named_cancelled_is_seen():
    class Called:
        def __call__(self, cancelled):
            pass

        def method(self, *, cancelled=None):
            pass

    def plain(cancelled):
        pass

    def local():
        cancelled = []
        cancelled.append(1)
        return cancelled

    for call in (plain, Called(), Called().method, partial(plain), lambda *, cancelled: None):
        assert takes_cancelled(call)
    for call in (local, int, list, lambda: 1, partial(plain, cancelled=1), print, 7):
        assert not takes_cancelled(call)
    assert rules_of(lambda: 1, 1, None, None, preemptible=False) is ONCE
