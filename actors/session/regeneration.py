"""The session that regenerates: requests for one message gather, and are written together.

Started by the sequencer, in place of a session that streams. Hears `Regenerate`, `ApplyNow`,
`WithdrawSession`, `TakeBackRequest` and `EditsOver` from the sequencer, whom it tells `AwaitEdits`
before it reads; `TaskSettled` from its processor, which it passes on to its writer; and what every
session hears, see `lifecycle`. Tells the processor `PromptDetected`, `PictureAwaited` and
`WithdrawTasks`, the writer
`RequestsSealed`. Gathers until nothing new was requested for a while and all is settled; what comes
after that is of the next session.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from limner.actors.session.lifecycle import SessionLifecycle
from limner.actors.stores.protocol import keeps_registry
from limner.actors.system import Timer
from limner.messages.errors import SessionCancelled, UnknownMessage, describe
from limner.messages.picture_requests import PictureRequest
from limner.messages.prompts import NearMiss
from limner.messages.session.control import SetPriority, TakeBackRequest, WithdrawTasks
from limner.messages.session.gathering import GatherState
from limner.messages.session.lifecycle import (
    ApplyNow,
    DeadlinePassed,
    Regenerate,
    ReportProgress,
    SettleDue,
    WithdrawSession,
)
from limner.messages.session.processing import (
    CancelTasks,
    PictureAwaited,
    PromptDetected,
    TaskSettled,
)
from limner.messages.session.streaming import SealReason
from limner.messages.session.totals import RequestsSealed
from limner.messages.session.writing import CancelWrite, MessageLoaded, WriteSkipped
from limner.messages.tasks import Task
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.near_misses import fields_of, near_misses_of
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.writes.protocol import AwaitEdits, EditsOver


class Resolved(NamedTuple):
    """A request as it is on the text that the store holds, or why it cannot be."""

    message: Regenerate
    requests: tuple[PictureRequest, ...]
    error: Exception | None


class Read(NamedTuple):
    """What was read from the store, and what that makes of the requests."""

    loaded: MessageLoaded
    resolved: list[Resolved]
    near_misses: tuple[NearMiss, ...]


class RegenerationActor(SessionLifecycle):
    """Brings the requests for one message to their write."""

    opening: Regenerate

    @property
    def sealed(self) -> bool:
        """Whether requests that come now are for the next session."""
        return not self.state.takes_requests

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.state = GatherState.GATHERING
        self.unread: list[Regenerate] = []
        self.reading_count = 0  # how many of those were requested before what is read now
        self.load_announced = False
        self.requests: dict[str, PictureRequest] = {}
        self.targets: set[str] = set()
        self.requests_per_prompt: Counter[str] = Counter()
        self.tasks_of: dict[str, list[str]] = {}  # by the request's name
        self.taken_back: set[str] = set()
        self.asked: dict[str, Regenerate] = {}  # by name, with its priority now
        self.unsettled: set[str] = set()
        self.over_limit: list[str] = []
        self.near_misses: tuple[NearMiss, ...] = ()
        self.wait_number = 0
        self.quiet: Timer | None = None
        self.cut_short = False
        self.withdrawal_error: SessionCancelled | None = None

    def on_start(self) -> None:
        """Start writer and processor; the request that it was opened for comes next."""
        self.start_writer()
        self.start_processor(outcomes_to=self.actor_ref)

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case Regenerate():
                self.gather(message)
            case ApplyNow():
                self.apply(message)
            case SettleDue():
                self.settle_due(message)
            case TaskSettled():
                self.unsettled.discard(message.task.id)
                self.writer.tell(message)
            case WithdrawSession():
                self.withdraw(message)
            case TakeBackRequest():
                self.take_back(message)
            case EditsOver():
                if not self.over:
                    self.read_store(self.load)
            case DeadlinePassed():
                self.deadline_passed(message)
            case WriteSkipped() if (
                message.reason == "cancelled" and self.withdrawal_error is not None
            ):
                self.end("cancelled", error=self.withdrawal_error)
            case ReportProgress():
                return self.processor
            case _:
                return super().on_receive(message)
        self.seal_if_settled()
        return None

    # Gathering

    def gather(self, message: Regenerate) -> None:
        """Add a request, unless it comes too late for this session."""
        if self.over or not self.state.takes_requests:
            self.state = GatherState.CLOSED
            return
        self.heard.add(message.session_id)
        self.asked[message.session_id] = message
        self.unread.append(message)
        self.wait_anew()
        if not self.reading_count:
            self.request_read()

    def wait_anew(self) -> None:
        """Restart the quiet period: it ends if no request comes for `settle_after`."""
        for timer in (self.quiet, self.deadline):
            if timer is not None:
                timer.cancel()
        self.wait_number += 1
        self.quiet = self.deadline = None
        seconds = self.settings.settle_after
        if self.state is not GatherState.APPLYING:
            self.state = GatherState.GATHERING if seconds else GatherState.QUIET
        if seconds:
            due = SettleDue(wait_number=self.wait_number)
            self.quiet = self.system.clock.after(seconds, self.actor_ref, due)
        else:
            self.start_deadline(self.wait_number)

    def settle_due(self, message: SettleDue) -> None:
        """End the quiet period: seal as soon as all is settled."""
        if message.wait_number != self.wait_number:
            return  # it was due just as something new was requested
        self.quiet = None
        if self.state.takes_requests:
            if self.state is GatherState.GATHERING:
                self.state = GatherState.QUIET
            self.start_deadline(self.wait_number)

    def apply(self, message: ApplyNow) -> None:
        """Write as soon as possible; cancel what is open, if that is wanted."""
        if self.over or self.state is GatherState.CLOSED:
            return  # it is for the next session
        self.heard.add(message.name)
        self.cut_short = self.cut_short or not message.waits
        if self.state is not GatherState.SEALED:
            self.state = GatherState.APPLYING
        elif self.cut_short:
            self.processor.tell(CancelTasks(reason="interrupted"))

    def withdraw(self, message: WithdrawSession) -> None:
        """End without a write, unless the write has begun."""
        what = f"the regenerations of message {self.message_id!r} were cancelled"
        withdrawal_error = SessionCancelled(f"{what}: {message.reason}")
        if self.state.takes_requests:
            self.end("cancelled", error=withdrawal_error)
        elif message.sealed_too:
            self.withdrawal_error = withdrawal_error
            self.writer.tell(CancelWrite())

    def take_back(self, message: TakeBackRequest) -> None:
        """Leave a request out, unless it has sealed; what was finished for it is kept."""
        name = message.name
        if self.over or name not in self.asked or name in self.taken_back:
            return
        if not self.state.takes_requests:
            if message.future is not None:
                message.future.set_if_pending(False)
            return
        what = f"the regeneration of {self.message_id!r} was cancelled: it was taken back"
        self.taken_back.add(name)
        tasks = self.tasks_of.get(name, [])
        self.log_event("request_taken_back", tasks=tasks)
        open_tasks = self.unsettled.intersection(tasks)
        if open_tasks:
            self.processor.tell(WithdrawTasks(task_ids=open_tasks, reason="it was taken back"))
        self.asked[name].future.fail_if_pending(SessionCancelled(what))

    def set_priority(self, message: SetPriority) -> None:
        """Set another priority of the session, and of the requests that are still to be read."""
        super().set_priority(message)
        self.asked = {
            name: request.but(priority=message.priority) for name, request in self.asked.items()
        }

    # Reading

    def request_read(self) -> None:
        """Ask to read what the store holds, once the edits in front are over or writes are held."""
        self.reading_count = len(self.unread)
        self.sequencer.tell(AwaitEdits(message_id=self.message_id))

    def load(self) -> Read:
        """Read what the store holds, and resolve the requests. Runs on a worker's thread.

        A refined prompt is known to the registry before a picture of it can be.
        """
        unread = self.unread[: self.reading_count]
        store = self.context.store
        assert keeps_registry(store)  # the studio refuses the call otherwise
        loaded = store.load(self.message_id)
        version = None if loaded is None else loaded[1]
        registry = store.registry(self.message_id)
        notation = self.settings.notation.but(clock=self.system.cpu_clock)
        tags = (
            None
            if loaded is None
            else PromptTags(loaded[0], registry, message_id=self.message_id, notation=notation)
        )
        editor = None if tags is None else MarkEditor(tags)
        whole = tags and any(message.whole for message in unread)
        near_misses = near_misses_of(tags.text, tags.matches, notation) if tags and whole else ()
        resolved = [self.resolve(message, editor) for message in unread]
        known = {prompt.id for prompt in registry.prompts}
        for request in (request for entry in resolved for request in entry.requests):
            if request.prompt.id not in known:
                store.add(request.prompt)
                known.add(request.prompt.id)
        kept = dict(store.kept(self.message_id))
        return Read(MessageLoaded(version=version, kept=kept), resolved, near_misses)

    def resolve(self, message: Regenerate, editor: MarkEditor | None) -> Resolved:
        """Return what is requested on the text as it stands."""
        if editor is None:
            error = UnknownMessage(f"the store has no message {self.message_id!r}")
            return Resolved(message, (), error)
        try:
            return Resolved(message, tuple(message.resolve(editor)), None)
        except Exception as error:  # noqa: BLE001  # one request must not end the others
            return Resolved(message, (), error)

    def loaded(self, value: Read) -> None:
        """Begin what was requested, now that the text and its registry are known."""
        if not self.load_announced:
            self.load_announced = True
            self.processor.tell(value.loaded)
            self.writer.tell(value.loaded)
        self.unread = self.unread[self.reading_count :]
        self.reading_count = 0
        if value.near_misses and value.near_misses != self.near_misses:
            self.near_misses = value.near_misses
            self.log_event("near_misses_found", **fields_of(value.near_misses))
        for entry in value.resolved:
            self.begin(entry)
        if self.unread:
            self.request_read()
        self.seal_if_settled()

    def begin(self, entry: Resolved) -> None:
        """Request the pictures, or refuse this request alone; one that was taken back is over."""
        if entry.message.session_id in self.taken_back:
            return
        if entry.error is not None:
            self.log_event("regeneration_refused", reason=describe(entry.error))
            entry.message.future.fail_if_pending(entry.error)
            return
        most = self.settings.max_prompts_per_message
        requests = []
        for request in entry.requests:
            if request.once and request.target in self.targets:
                self.await_too(request.target, entry.message)
            else:
                requests.append(request)
        for request in requests[:most]:
            self.request_picture(request, self.asked[entry.message.session_id])
        self.over_limit += [request.prompt.text for request in requests[most:]]

    def await_too(self, target: str, message: Regenerate) -> None:
        """Tell a call of the picture that another one has requested for the same target."""
        if message.outcomes is None:
            return
        task_id = next(name for name, known in self.requests.items() if known.target == target)
        self.processor.tell(PictureAwaited(task_id=task_id, outcomes=message.outcomes))

    def request_picture(self, request: PictureRequest, message: Regenerate) -> None:
        """Request one picture."""
        prompt = request.prompt
        task = Task.requested(
            prompt,
            session_id=self.session_id,
            owner=message.owner,
            priority=message.priority,
            at=self.system.clock.now,
            number=self.requests_per_prompt[prompt.id],
        )
        self.requests_per_prompt[prompt.id] += 1
        self.requests[task.id] = request
        self.tasks_of.setdefault(message.session_id, []).append(task.id)
        self.targets.add(request.target)
        self.unsettled.add(task.id)
        self.log_event(
            "picture_wanted",
            task_id=task.id,
            prompt_id=prompt.id,
            prompt=prompt.text,
            place=request.place,
            target=request.target,
            **({} if message.owner is None else {"owner": message.owner}),
        )
        outcomes = () if message.outcomes is None else (message.outcomes,)
        self.processor.tell(PromptDetected(task=task, outcomes=outcomes))

    # Sealing

    def seal_if_settled(self) -> None:
        """Seal once nothing more is to be waited for, or if that is wanted now."""
        if self.unread or self.reading_count:
            return
        quiet = self.state is GatherState.QUIET and not self.unsettled
        if quiet or self.state is GatherState.APPLYING:
            self.seal("interrupted" if self.cut_short else "complete")

    def seal(self, reason: SealReason) -> None:
        """Tell the writer which tasks it waits for; nothing more is gathered."""
        if self.over or not self.state.takes_requests:
            return
        self.state = GatherState.SEALED
        if self.quiet is not None:
            self.quiet.cancel()
        self.log_event("session_sealed", reason=reason, tasks=sorted(self.requests))
        if reason == "interrupted":
            self.processor.tell(CancelTasks(reason=reason))
        self.start_deadline(self.wait_number)
        self.writer.tell(
            RequestsSealed(
                task_ids=frozenset(self.requests),
                reason=reason,
                over_limit=tuple(self.over_limit),
                near_misses=self.near_misses,
                requests=self.requests,
                taken_back=frozenset(
                    task for name in self.taken_back for task in self.tasks_of.get(name, ())
                ),
            )
        )

    def deadline_passed(self, message: DeadlinePassed) -> None:
        """Write what is finished, or nothing, as the settings say.

        Requests that are still being read have no task yet, so the deadline restarts; the store's
        own time is bounded.
        """
        if message.wait_number != self.wait_number:
            return
        if self.unread and self.state.takes_requests:
            self.deadline = None
            self.start_deadline(self.wait_number)
            return
        self.seal("timed_out")
        self.pass_deadline(message)

    def end_input(self, why: str) -> None:  # noqa: ARG002
        """Gather no longer."""
        if self.quiet is not None:
            self.quiet.cancel()
