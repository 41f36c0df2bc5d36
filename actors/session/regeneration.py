"""The session that regenerates: requests for one message gather, and are written together.

Started by the sequencer, in place of a session that streams. Hears `Regenerate`, `ApplyNow`,
`WithdrawSession` and `EditsOver` from the sequencer, whom it tells `AwaitEdits` before it reads;
`TaskSettled` from its processor, which it passes on to its writer; and what every session hears,
see `lifecycle`. Tells the processor `PromptDetected`, the writer `RequestsSealed`. Gathers until
nothing new was requested for a while and all is settled; what comes after that is of the next
session.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from limner.actors.session.lifecycle import SessionLifecycle
from limner.actors.stores.protocol import keeps_registry
from limner.actors.system import Timer
from limner.messages.errors import SessionCancelled, UnknownMessage, describe
from limner.messages.picture_requests import PictureRequest
from limner.messages.session.gathering import GatherState
from limner.messages.session.lifecycle import (
    ApplyNow,
    DeadlinePassed,
    Regenerate,
    ReportProgress,
    SettleDue,
    WithdrawSession,
)
from limner.messages.session.processing import CancelTasks, PromptDetected, TaskSettled
from limner.messages.session.streaming import SealReason
from limner.messages.session.totals import RequestsSealed
from limner.messages.session.writing import CancelWrite, MessageLoaded, WriteSkipped
from limner.messages.tasks import Task
from limner.messages.text.mark_editor import MarkEditor
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


class RegenerationActor(SessionLifecycle):
    """Brings the requests for one message to their write."""

    opening: Regenerate

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.state = GatherState.GATHERING
        self.unread: list[Regenerate] = []
        self.reads = 0  # how many of those were requested before what is read now
        self.opened = False
        self.requests: dict[str, PictureRequest] = {}
        self.targets: set[str] = set()
        self.times: Counter[str] = Counter()
        self.open: set[str] = set()
        self.over_limit: list[str] = []
        self.waits = 0
        self.quiet: Timer | None = None
        self.cut_short = False
        self.withdrawn: SessionCancelled | None = None

    def on_start(self) -> None:
        """Start writer and processor; the first request is in the mailbox."""
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
                self.open.discard(message.task.id)
                self.writer.tell(message)
            case WithdrawSession():
                self.withdraw(message)
            case EditsOver():
                if not self.over:
                    self.read_store(self.load)
            case DeadlinePassed():
                self.deadline_passed(message)
            case WriteSkipped() if message.reason == "cancelled" and self.withdrawn is not None:
                self.end("cancelled", error=self.withdrawn)
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
        self.unread.append(message)
        self.wait_anew()
        if not self.reads:
            self.read()

    def wait_anew(self) -> None:
        """Start the time anew in which nothing more may be requested."""
        for timer in (self.quiet, self.deadline):
            if timer is not None:
                timer.cancel()
        self.waits += 1
        self.quiet = self.deadline = None
        seconds = self.settings.settle_after
        if self.state is not GatherState.APPLYING:
            self.state = GatherState.GATHERING if seconds else GatherState.QUIET
        if seconds:
            due = SettleDue(waits=self.waits)
            self.quiet = self.system.clock.after(seconds, self.actor_ref, due)
        else:
            self.start_deadline(self.waits)

    def settle_due(self, message: SettleDue) -> None:
        """Wait for what is open, now that nothing new was requested for a while."""
        if message.waits != self.waits:
            return  # it was due just as something new was requested
        self.quiet = None
        if self.state.takes_requests:
            if self.state is GatherState.GATHERING:
                self.state = GatherState.QUIET
            self.start_deadline(self.waits)

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
        """End without a write, if there is time for that."""
        what = f"the regenerations of message {self.message_id!r} were cancelled"
        withdrawn = SessionCancelled(f"{what}: {message.reason}")
        if self.state.takes_requests:
            self.end("cancelled", error=withdrawn)
        elif message.sealed_too:
            self.withdrawn = withdrawn
            self.writer.tell(CancelWrite())

    # Reading

    def read(self) -> None:
        """Read what the store holds, for all that has been requested by now.

        The edits that were asked for before are in it then.
        """
        self.reads = len(self.unread)
        self.sequencer.tell(AwaitEdits(message_id=self.message_id))

    def load(self) -> Read:
        """Read what the store holds, and resolve the requests. Runs on a worker's thread.

        A refined prompt is known to the registry before a picture of it can be.
        """
        unread = self.unread[: self.reads]
        store = self.context.store
        assert keeps_registry(store)  # the studio refuses the call otherwise
        loaded = store.load(self.message_id)
        version = None if loaded is None else loaded[1]
        registry = store.registry(self.message_id)
        notation = self.settings.notation
        editor = loaded and MarkEditor(
            PromptTags(loaded[0], registry, message_id=self.message_id, notation=notation)
        )
        resolved = [self.resolve(message, editor) for message in unread]
        known = {prompt.id for prompt in registry.prompts}
        for request in (request for entry in resolved for request in entry.requests):
            if request.prompt.id not in known:
                store.add(request.prompt)
                known.add(request.prompt.id)
        kept = dict(store.kept(self.message_id))
        return Read(MessageLoaded(version=version, kept=kept), resolved)

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
        if not self.opened:
            self.opened = True
            self.processor.tell(value.loaded)
            self.writer.tell(value.loaded)
        self.unread = self.unread[self.reads :]
        self.reads = 0
        for entry in value.resolved:
            self.begin(entry)
        if self.unread:
            self.read()
        self.seal_if_settled()

    def begin(self, entry: Resolved) -> None:
        """Ask for the pictures of one message, or refuse it: the others go on."""
        if entry.error is not None:
            self.log_event("regeneration_refused", reason=describe(entry.error))
            entry.message.future.fail_if_pending(entry.error)
            return
        most = self.settings.max_prompts_per_message
        requests = [
            request
            for request in entry.requests
            if not request.once or request.target not in self.targets
        ]
        for request in requests[:most]:
            self.ask(request, entry.message)
        self.over_limit += [request.prompt.text for request in requests[most:]]

    def ask(self, request: PictureRequest, message: Regenerate) -> None:
        """Ask for one picture."""
        prompt = request.prompt
        task = Task.requested(
            prompt,
            session_id=self.session_id,
            owner=message.owner,
            priority=message.priority,
            at=self.system.clock.now,
            number=self.times[prompt.id],
        )
        self.times[prompt.id] += 1
        self.requests[task.id] = request
        self.targets.add(request.target)
        self.open.add(task.id)
        self.log_event(
            "picture_wanted",
            task_id=task.id,
            prompt_id=prompt.id,
            prompt=prompt.text,
            place=request.place,
            target=request.target,
        )
        self.processor.tell(PromptDetected(task=task))

    # Sealing

    def seal_if_settled(self) -> None:
        """Seal once nothing more is to be waited for, or if that is wanted now."""
        if self.unread or self.reads:
            return
        quiet = self.state is GatherState.QUIET and not self.open
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
        self.start_deadline(self.waits)
        self.writer.tell(
            RequestsSealed(
                task_ids=frozenset(self.requests),
                reason=reason,
                over_limit=tuple(self.over_limit),
                requests=self.requests,
            )
        )

    def deadline_passed(self, message: DeadlinePassed) -> None:
        """Write what is finished, or nothing, as the settings say.

        What is still being read has no task yet: its time begins anew, and the store's own is
        bounded.
        """
        if message.waits != self.waits:
            return
        if self.unread and self.state.takes_requests:
            self.deadline = None
            self.start_deadline(self.waits)
            return
        self.seal("timed_out")
        self.pass_deadline(message)

    def end_input(self, why: str) -> None:  # noqa: ARG002
        """Gather no longer."""
        if self.quiet is not None:
            self.quiet.cancel()
