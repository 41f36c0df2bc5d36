"""One message's order, in drawn histories, beside the plainest reading of its rules."""

from collections import Counter
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.queue_model import QueueModel

from limner.messages.session.lifecycle import ApplyNow, OpenStream, Regenerate, SessionEnded
from limner.messages.writes.message_queue import MessageQueue
from limner.messages.writes.protocol import EditText
from limner.messages.writes.steps import (
    Answer,
    BeginEdit,
    BeginSession,
    Cancel,
    CancelStream,
    ConfirmHold,
    GiveTurn,
    LetRead,
    NothingToApply,
    PassOn,
    SealNow,
    WithdrawRegeneration,
)

KINDS = ("edit", "remove", "rewrite", "reconcile")


def name_of(operation):
    match operation:
        case EditText():
            return operation.edit_id
        case ApplyNow():
            return operation.name
        case _:
            return operation.session_id


def plain(step):
    """Return a step as the model tells it."""
    match step:
        case BeginSession():
            return ("begin session", name_of(step.opening))
        case PassOn():
            return ("pass on", name_of(step.request))
        case SealNow():
            return ("hurry",)
        case WithdrawRegeneration():
            return ("withdraw", step.reason.name, step.sealed_too)
        case LetRead():
            return ("let read",)
        case CancelStream():
            return ("cancel writing",)
        case GiveTurn():
            return ("give turn", step.written)
        case BeginEdit():
            return ("begin edit", step.edit.edit_id)
        case Cancel():
            return ("cancel", name_of(step.operation), step.reason.name)
        case Answer():
            return ("answer", name_of(step.request), step.ended)
        case NothingToApply():
            return ("nothing to apply", step.request.name)
        case ConfirmHold():
            return ("held", step.future)


OUTCOMES = {"cancel", "answer", "nothing to apply", "held"}


def by_receiver(steps):
    """Return steps apart: those to the session, to those who wait, to the edit.

    What one of them hears keeps its order; between them there is none to be kept.
    """
    outcomes = [step for step in steps if step[0] in OUTCOMES]
    edits = [step for step in steps if step[0] == "begin edit"]
    session = [step for step in steps if step not in outcomes and step not in edits]
    return session, sorted(outcomes, key=lambda step: step[:2]), edits


class History:
    """One message's queue beside its model, and what must hold whatever either of them says."""

    def __init__(self):
        self.steps = []
        self.queue = MessageQueue(self.steps)
        self.model = QueueModel()
        self.number = 0
        self.log = []
        self.outcomes = Counter()
        self.begun = Counter()
        self.asked = {}  # name → (kind, when), of all that is owed an outcome
        self.streams = {}  # name → waiting, live, done
        self.edits = {}  # likewise
        self.told = []  # names of requests that the session has been told of
        self.session = None
        self.due = self.session_finished = False
        self.writer = None
        self.held = self.closed = self.failed = False
        self.refused = set()

    @property
    def story(self):
        """What was done, and what followed, a line each."""
        return "\n".join(map(str, self.log))

    def new(self, kind):
        self.number += 1
        name = f"{kind}{self.number}"
        self.asked[name] = (kind, self.number)
        return name

    def is_pending(self, request):
        name = request.session_id
        return name not in self.refused and not self.outcomes[name]

    def do(self, call, *args):
        """Do something to both, and compare what follows."""
        self.log.append((call, *args))
        theirs = getattr(self.queue, call)
        mine = getattr(self.model, call)
        match call:
            case "open_stream":
                name = self.new("stream")
                self.streams[name] = "waiting"
                opening = OpenStream.trusted(
                    session_id=name, message_id="m", owner=None, priority=0, stream=None
                )
                given = theirs(opening), mine(name, opening)
            case "request":
                name = self.new("request")
                request = Regenerate.trusted(
                    session_id=name, message_id="m", owner=None, priority=0, resolve=None,
                    future=None,
                )  # fmt: skip
                given = theirs(request), mine(name, request)
            case "apply":
                name = self.new("apply")
                apply = ApplyNow.trusted(name=name, message_id="m", waits=args[0], future=None)
                given = theirs(apply), mine(name, apply)
            case "queue_edit":
                name = self.new("edit")
                self.edits[name] = "waiting"
                edit = EditText.trusted(
                    edit_id=name, message_id="m", kind=args[0], change=None, future=None
                )
                given = theirs(edit), mine(name, edit)
            case "hold":
                name = self.new("hold")
                self.held = not self.closed
                given = theirs(name), mine(name, name)
            case "clear":
                # what is counted is what had no outcome before
                had = [name for name in self.asked if self.outcomes[name]]
                before = self.refused | set(had)
                given = tuple(
                    clear(lambda request: request.session_id not in before)
                    for clear in (theirs, mine)
                )
            case "session_terminated":
                name, heard = args
                ended = SessionEnded.trusted(
                    session_id=name, message_id="m", outcome="written", result=None, error=None,
                    heard=heard,
                )  # fmt: skip
                if name == self.session:
                    self.end_of_session()
                    self.session, self.told = None, []
                given = theirs(ended), mine(name, heard, ended)
            case _:
                self.before(call, *args)
                given = theirs(*args), mine(*args)
        self.compare(*given)

    def before(self, call, *args):
        """Keep count of what is told."""
        match call:
            case "release":
                self.held = False
            case "close" | "fail":
                self.failed = self.failed or call == "fail"
                self.held, self.closed = False, True
            case "request_turn" if args[0] == self.session and not self.session_finished:
                self.due = True
            case "session_finished" if args[0] == self.session:
                self.end_of_session()
            case "edit_over" if self.edits.get(args[0]) == "live":
                self.edits[args[0]] = "done"
                self.outcomes[args[0]] += 1
                self.writer = None

    def end_of_session(self):
        self.session_finished, self.due = True, False
        if self.writer == self.session:
            self.writer = None
        if self.session in self.streams and self.streams[self.session] != "done":
            self.streams[self.session] = "done"
            self.outcomes[self.session] += 1

    def compare(self, given, expected):
        steps = [plain(step) for step in self.steps]
        self.steps.clear()
        told, self.model.told = self.model.told, []
        self.log.append(steps)
        assert given == expected, self.story
        assert by_receiver(steps) == by_receiver(told), self.story
        for step in steps:
            self.judge(*step)
        queue, model = self.queue, self.model
        assert queue.idle == model.idle, self.story
        assert queue.kinds == model.kinds, self.story
        assert queue.sessions_waiting == model.sessions_waiting, self.story
        assert queue.held == model.held == self.held, self.story
        assert queue.writing == model.writing == self.writer, self.story
        gathering = [request.session_id for request in queue.gathering(self.is_pending)]
        assert gathering == [line.name for line in model.gathering(self.is_pending)], self.story
        self.nothing_is_kept_from_beginning()

    # what must hold

    def judge(self, what, *about):
        match what:
            case "begin session":
                (name,) = about
                self.begun[name] += 1
                assert self.session is None, self.story
                self.session, self.session_finished, self.due = name, False, False
                if name in self.streams:
                    self.streams[name] = "live"
                else:
                    assert "waiting" not in self.streams.values(), self.story
            case "begin edit":
                (name,) = about
                self.begun[name] += 1
                self.may_write()
                assert not self.streams_before(name), self.story
                self.edits[name], self.writer = "live", name
            case "give turn":
                self.may_write()
                self.begun[f"the write of {self.session}"] += 1
                self.writer = self.session
            case "pass on":
                self.told.append(about[0])
            case "cancel" | "answer" | "nothing to apply" | "held":
                name = about[0]
                self.outcomes[name] += 1
                assert not self.begun[name] or name.startswith("request"), self.story
                for known in (self.streams, self.edits):
                    if name in known:
                        known[name] = "done"
        assert all(count == 1 for count in self.begun.values()), self.story
        assert all(count <= 1 for count in self.outcomes.values()), self.story

    def may_write(self):
        assert self.writer is None, self.story
        assert not self.held, self.story

    def streams_before(self, edit):
        """Return the streams opened before an edit was asked for that have not written."""
        when = self.asked[edit][1]
        return [
            stream
            for stream, state in self.streams.items()
            if state != "done" and self.asked[stream][1] < when
        ]

    def nothing_is_kept_from_beginning(self):
        """A stream has its session at once if there is none, and nobody waits for nothing."""
        if self.session is None:
            assert "waiting" not in self.streams.values(), self.story
            assert not self.queue.sessions_waiting, self.story
        if self.writer is None and not self.held:
            waiting = [name for name, state in self.edits.items() if state == "waiting"]
            assert all(self.streams_before(edit) for edit in waiting), self.story
            session = self.session
            if session in self.streams and self.due and not self.failed:
                raise AssertionError(self.story)

    def end(self, pick):
        """Bring all to an end: then each has had its one outcome, and nothing is left."""
        if pick((True, False)):
            self.do("close")
        for _ in range(10 * self.number + 10):
            if self.queue.idle:
                break
            if self.held:
                self.do("release")
            elif self.edits.get(self.writer) == "live":
                self.do("edit_over", self.writer, None)
            elif not (self.due or self.session_finished) and pick((True, False)):
                self.do("request_turn", self.session)
            else:
                self.do("session_terminated", self.session, frozenset(self.told))
        assert self.queue.idle, self.story
        assert all(self.outcomes[name] == 1 for name in self.asked), self.story


def any_name(history, pick):
    """Return a name: mostly of what there is, else one that has ended, was never, or will be."""
    return pick((history.session, history.session, history.session, *history.asked, "unknown"))


def heard_of(history, pick):
    """Return what a session has heard: all, a part from the beginning on, or nothing certain."""
    told = history.told
    return pick(
        (
            None,
            frozenset(told),
            frozenset(told[: pick(range(len(told) + 1))]),
            frozenset(name for name in told if pick((True, True, False))),
        )
    )


def cancel_stream(history, pick):
    waiting = [name for name, state in history.streams.items() if state == "waiting"]
    history.do("cancel_stream", pick((*waiting * 8, any_name(history, pick))))


def edit_over(history, pick):
    edits = (*history.edits, "unknown")
    live = [name for name, state in history.edits.items() if state == "live"]
    written = pick((None, f"v{history.number}", history.number))
    history.do("edit_over", pick((*live * 8, *edits)), written)


def refuse(history, pick):
    """A session refuses a request of its own: it has its outcome before the session has ended."""
    told = [name for name in history.told if name.startswith("request")]
    if told:
        history.refused.add(pick(told))


DRAWN = {
    "open_stream": (8, lambda history, _: history.do("open_stream")),
    "request": (12, lambda history, _: history.do("request")),
    "apply": (4, lambda history, pick: history.do("apply", pick((True, False)))),
    "queue_edit": (12, lambda history, pick: history.do("queue_edit", pick(KINDS))),
    "cancel_stream": (4, cancel_stream),
    "hold": (3, lambda history, _: history.do("hold")),
    "release": (4, lambda history, _: history.do("release")),
    "clear": (3, lambda history, _: history.do("clear")),
    "close": (0.5, lambda history, _: history.do("close")),
    "fail": (0.3, lambda history, _: history.do("fail")),
    "request_turn": (10, lambda history, pick: history.do("request_turn", any_name(history, pick))),
    "await_edits": (6, lambda history, _: history.do("await_edits")),
    "session_finished": (
        6,
        lambda history, pick: history.do("session_finished", any_name(history, pick)),
    ),
    "session_terminated": (
        8,
        lambda history, pick: history.do(
            "session_terminated", any_name(history, pick), heard_of(history, pick)
        ),
    ),
    "edit_over": (12, edit_over),
    "refuse": (2, refuse),
}
NAMES = tuple(DRAWN)
WEIGHTS = tuple(weight for weight, _ in DRAWN.values())
CHUNKS, HISTORIES = 20, 1000


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_drawn_histories_go_as_the_rules_say(chunk):
    for number in range(HISTORIES):
        draw = Random(chunk * HISTORIES + number)
        history = History()
        for name in draw.choices(NAMES, WEIGHTS, k=draw.randint(5, 30)):
            DRAWN[name][1](history, draw.choice)
        history.end(draw.choice)


class Queue(RuleBasedStateMachine):
    """The same, drawn so that what fails is made small."""

    def __init__(self):
        super().__init__()
        self.history = History()
        self.pick = None

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def do(self, name, data):
        DRAWN[name][1](self.history, lambda options: data.draw(st.sampled_from(tuple(options))))

    @invariant()
    def what_writes_is_alone(self):
        assert self.history.queue.writing == self.history.writer

    def teardown(self):
        self.history.end(lambda options: options[0])


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=25)
