"""One message's queue of writes, beside the plainest one that there is."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from limner.messages.writes.message_queue import Turns

NAMES = st.sampled_from("abcd")


class Queue(RuleBasedStateMachine):
    """Draws what is asked of a queue; `line` is a list of who stands in it, and for what."""

    def __init__(self):
        super().__init__()
        self.turns = Turns()
        self.line = []
        self.writing = None
        self.held = False

    def stands(self, name):
        return next((one for one in self.line if one[0] == name), None)

    @rule(name=NAMES)
    def reserve(self, name):
        self.turns.reserve(name)
        if not self.stands(name):
            self.line.append([name, None])

    @rule(name=NAMES, wanted=st.integers())
    def ask(self, name, wanted):
        self.turns.ask(name, wanted)
        if name == self.writing:
            return
        if place := self.stands(name):
            place[1] = wanted
        else:
            self.line.append([name, wanted])

    @rule(held=st.booleans())
    def hold(self, held):
        self.turns.held = self.held = held

    @rule()
    def go_on(self):
        given = self.turns.next()
        if self.held or self.writing or not self.line or self.line[0][1] is None:
            assert given is None
        else:
            assert given == tuple(self.line.pop(0))
            self.writing = given[0]

    @rule(name=NAMES)
    def end(self, name):
        self.turns.over(name)
        self.line = [one for one in self.line if one[0] != name]
        if self.writing == name:
            self.writing = None

    @rule()
    def take_the_even_ones(self):
        taken = self.turns.take(lambda wanted: wanted % 2 == 0)
        even = [one for one in self.line if one[1] is not None and one[1] % 2 == 0]
        assert list(taken) == [wanted for _, wanted in even]
        self.line = [one for one in self.line if one not in even]

    @invariant()
    def they_agree(self):
        assert list(self.turns.waiting) == [wanted for _, wanted in self.line]
        assert self.turns.under_way == self.writing
        assert self.turns.idle == (not self.held and not self.line and self.writing is None)


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=100, stateful_step_count=40)


def test_a_reserved_turn_keeps_its_place_and_holds_up_what_comes_after_it():
    turns = Turns()
    turns.reserve("stream")
    turns.ask("edit", 1)
    assert turns.next() is None
    turns.ask("stream", 2)
    assert turns.next() == ("stream", 2)
    assert turns.next() is None
    turns.over("stream")
    assert turns.next() == ("edit", 1)
