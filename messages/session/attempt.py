"""What is under way for one task: its request, its slot, its call, its backoff. No clock.

A task says what is known of a picture; its attempt says what is outstanding for it at the moment,
through all calls of the generator. Each change returns the next value, by a table; a change that
the table does not allow raises `ValueError`.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from limner.messages.limiter.protocol import SlotGranted


class AttemptState(StrEnum):
    """What is out for a task."""

    IDLE = "idle"
    """Nothing: the task is new, or has just lost its slot."""
    WAITING = "waiting"
    """A request for a slot."""
    HOLDING = "holding"
    """A slot, which is not used yet."""
    CALLING = "calling"
    """A slot, and a call of the generator."""
    STOPPING = "stopping"
    """A slot, and a call that was asked to come back."""
    KEEPING = "keeping"
    """A finished picture that the store has not kept yet, and mostly the slot it was made on."""
    BACKING_OFF = "backing off"
    """Nothing: a slot is requested again after a while."""
    OVER = "over"
    """Nothing, and nothing will be: the task has settled."""


TRANSITIONS = MappingProxyType(
    {
        AttemptState.IDLE: {AttemptState.WAITING, AttemptState.BACKING_OFF, AttemptState.OVER},
        AttemptState.WAITING: {AttemptState.HOLDING, AttemptState.IDLE, AttemptState.OVER},
        AttemptState.HOLDING: {AttemptState.CALLING, AttemptState.IDLE, AttemptState.OVER},
        AttemptState.CALLING: {
            AttemptState.STOPPING,
            AttemptState.KEEPING,
            AttemptState.IDLE,
            AttemptState.OVER,
        },
        AttemptState.STOPPING: {AttemptState.KEEPING, AttemptState.IDLE, AttemptState.OVER},
        AttemptState.KEEPING: {AttemptState.OVER},
        AttemptState.BACKING_OFF: {AttemptState.WAITING, AttemptState.IDLE, AttemptState.OVER},
        AttemptState.OVER: set[AttemptState](),
    }
)
"""From each state, the states that may follow it."""


class CallEnd(StrEnum):
    """What follows from the end of a call, unless it gave the picture that was waited for."""

    LATE = "late"
    """The task has settled: a picture is kept, and nobody waits for it."""
    LAPSED = "lapsed"
    """The slot expired before the call began: the task is queued again, or has had its attempts."""
    REVOKED = "revoked"
    """The slot was revoked: the task is queued again, first of its owner."""
    TIMED_OUT = "timed out"
    """The call took too long: it has failed, and may be tried again."""
    FAILED = "failed"
    """The call has failed."""


class Attempt(NamedTuple):
    """What is out for one task. Immutable: each method returns the next value.

    Args:
        state: what is out.
        requests: how many slots were requested so far.
        since: when the first one was requested, in microseconds of the system's clock.
        request_id: of the request that waits.
        grant: the slot that is held.
        revoked: whether that slot was revoked, or the next request follows one that was.
        revocations: how many slots were revoked.
        timed_out: whether the call took too long.
    """

    state: AttemptState = AttemptState.IDLE
    requests: int = 0
    since: int | None = None
    request_id: str | None = None
    grant: SlotGranted | None = None
    revoked: bool = False
    revocations: int = 0
    timed_out: bool = False

    def request(self, task_id: str, now: int) -> "Attempt":
        """Return the attempt with a request for a slot, `now` in microseconds.

        Raises:
            ValueError: if a request waits, or a slot is held, or the task has settled.
        """
        self._check(AttemptState.WAITING)
        number = self.requests + 1
        since = now if self.since is None else self.since
        # fields in their order, here and below: `_replace` takes twice as long
        return Attempt(
            AttemptState.WAITING,
            number,
            since,
            f"{task_id}-{number}",
            None,
            False,
            self.revocations,
            False,
        )

    def hold(self, grant: SlotGranted) -> "Attempt":
        """Return the attempt with the slot that was granted to its request.

        Raises:
            ValueError: if that request does not wait (any more).
        """
        self._check(AttemptState.HOLDING)
        if grant.request_id != self.request_id:
            raise ValueError(f"slot {grant.slot_id} was granted to another request")
        return Attempt(
            AttemptState.HOLDING,
            self.requests,
            self.since,
            None,
            grant,
            self.revoked,
            self.revocations,
            self.timed_out,
        )

    def call(self) -> "Attempt":
        """Return the attempt with a call of the generator under way.

        Raises:
            ValueError: if no slot is held, or a call is under way.
        """
        self._check(AttemptState.CALLING)
        return self._replace(state=AttemptState.CALLING, timed_out=False)

    def stop(self, *, timed_out: bool = False) -> "Attempt":
        """Return the attempt with its call asked to come back.

        Raises:
            ValueError: if no call is under way, or it was asked before.
        """
        self._check(AttemptState.STOPPING)
        return self._replace(state=AttemptState.STOPPING, timed_out=timed_out)

    def keep(self) -> "Attempt":
        """Return the attempt with a finished picture that is to be kept; its slot stays.

        So there are never more such pictures in memory than slots, unless slots were taken back.

        Raises:
            ValueError: if no call is under way.
        """
        self._check(AttemptState.KEEPING)
        return self._replace(state=AttemptState.KEEPING, timed_out=False)

    def give_slot_back(self) -> "Attempt":
        """Return the attempt without a slot, while its picture is still to be kept.

        Raises:
            ValueError: if no picture is to be kept.
        """
        if self.state is not AttemptState.KEEPING:
            raise ValueError(f"an attempt that is {self.state} needs its slot, or has none")
        return self._replace(grant=None)

    def revoke(self) -> "Attempt":
        """Return the attempt with its slot revoked: the next request goes first.

        Raises:
            ValueError: if no slot is held, or it was revoked before, or its call has ended.
        """
        if not self.has_slot or self.revoked or self.state is AttemptState.KEEPING:
            raise ValueError(f"no slot can be revoked of an attempt that is {self.state}")
        return self._replace(revoked=True, revocations=self.revocations + 1)

    def release(self, *, over: bool) -> "Attempt":
        """Return the attempt with nothing out.

        Args:
            over: whether the task has settled, so that nothing will be out again.
        """
        state = AttemptState.OVER if over else AttemptState.IDLE
        if self.state is state:
            return self
        self._check(state)
        return Attempt(
            state,
            self.requests,
            self.since,
            None,
            None,
            self.revoked,
            self.revocations,
            self.timed_out,
        )

    def back_off(self) -> "Attempt":
        """Return the attempt with nothing out until a while has passed.

        Raises:
            ValueError: if the state is not IDLE.
        """
        self._check(AttemptState.BACKING_OFF)
        return self._replace(state=AttemptState.BACKING_OFF, revoked=False)

    @property
    def has_slot(self) -> bool:
        """Whether a slot is held."""
        return self.grant is not None

    @property
    def over(self) -> bool:
        """Whether the task has settled and nothing is out for it."""
        return self.state is AttemptState.OVER

    def holds(self, slot_id: str) -> bool:
        """Return whether this is the slot that is held."""
        return self.grant is not None and self.grant.slot_id == slot_id

    def end_of_call(self, *, settled: bool, lapsed: bool) -> CallEnd:
        """Return what follows from the end of the call, if it gave no picture or too late.

        Args:
            settled: whether the task has settled meanwhile.
            lapsed: whether the slot had expired before the call began.
        """
        if settled:
            return CallEnd.LATE
        if lapsed:
            return CallEnd.LAPSED
        if self.revoked:
            return CallEnd.REVOKED
        return CallEnd.TIMED_OUT if self.timed_out else CallEnd.FAILED

    def failures(self, calls: int) -> int:
        """Return how many of so many calls count against the limit of attempts.

        A call whose slot was revoked does not.
        """
        return calls - self.revocations

    def _check(self, state: AttemptState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"an attempt cannot go from {self.state} to {state}")
