"""The session that regenerates: wishes of one message gather, and are written together.

Started by the root, in place of a session that streams. Hears `Regenerate`, `ApplyNow` and
`WithdrawSession` from the root, `EditsOver` from the editor, whom it tells `AwaitEdits` before it
reads, `TaskSettled` from its processor, which it passes on to its writer; tells the processor
`PromptDetected`, the writer `TotalsSealed`. Gathers until nothing new was asked for a while and all
is settled; what comes after that is not heard, and is of the next session.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from limner.actors.session.session import SessionActor
from limner.actors.stores.protocol import keeps_registry
from limner.actors.system import CallReturned, Timer
from limner.messages.errors import SessionCancelled, UnknownMessage, describe
from limner.messages.picture_requests import PictureRequest
from limner.messages.session.lifecycle import (
    ApplyNow,
    DeadlinePassed,
    Regenerate,
    ReportProgress,
    SessionEnded,
    SettleDue,
    WithdrawSession,
)
from limner.messages.session.processing import CancelTasks, PromptDetected, TaskSettled
from limner.messages.session.streaming import SealReason
from limner.messages.session.totals import TotalsSealed
from limner.messages.session.writing import CancelWrite, MessageLoaded, WriteSkipped
from limner.messages.tasks import Task
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.prompt_tags import Tags
from limner.messages.writes.protocol import AwaitEdits, EditsOver


class Resolved(NamedTuple):
    """What was asked for, and what that is on the text as it stands, or why it cannot be."""

    message: Regenerate
    wishes: tuple[PictureRequest, ...]
    error: Exception | None


class RegenerationActor(SessionActor):
    """Sees the regenerations of one message to their write."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.children = 2
        self.heard: set[str] = set()
        self.asked: list[Regenerate] = []
        self.reading = 0  # how many of those were asked before what is read now
        self.opened = False
        self.wishes: dict[str, PictureRequest] = {}
        self.targets: set[str] = set()
        self.times: Counter[str] = Counter()
        self.open: set[str] = set()
        self.over_limit: list[str] = []
        self.quiet: Timer | None = None
        self.still = False
        self.applying = False
        self.cut_short = False
        self.missed = False
        self.sealed_as: SealReason | None = None
        self.withdrawn: SessionCancelled | None = None

    def on_start(self) -> None:
        """Start the two; the first wish is in the mailbox."""
        self.start_writer()
        self.start_processor(outcomes_to=self.actor_ref)
        self.overdue = None

    def on_receive(self, message: object) -> Any:
        """Gather wishes, and see them on."""
        match message:
            case Regenerate():
                self.ask(message)
            case ApplyNow():
                self.apply(message)
            case SettleDue() if message.waits == self.waits:
                self.quiet, self.still = None, True
                self.settle_in_time()
            case SettleDue():
                pass  # it was due just as something new was asked for
            case TaskSettled():
                self.open.discard(message.task.id)
                self.writer.tell(message)
            case WithdrawSession():
                self.withdraw(message)
            case EditsOver():
                if self.ended is None:
                    super().read()
            case ReportProgress():
                return self.processor
            case _:
                return super().on_receive(message)
        self.seal_if_settled()
        return None

    def ask(self, message: Regenerate) -> None:
        """Take one more wish, unless it comes too late for this session."""
        if self.sealed_as is not None or self.ended is not None:
            self.missed = True
            return
        self.heard.add(message.session_id)
        self.asked.append(message)
        self.wait_anew()
        if not self.reading:
            self.read()

    def wait_anew(self) -> None:
        """Let the time run anew in which nothing more may be asked."""
        for timer in (self.quiet, self.deadline):
            if timer is not None:
                timer.cancel()
        self.waits += 1
        seconds, self.deadline = self.settings.settle_after, None
        self.still = not seconds
        if self.still:
            self.settle_in_time()
        else:
            self.quiet = self.system.clock.after(
                seconds, self.actor_ref, SettleDue(waits=self.waits)
            )

    def settle_in_time(self) -> None:
        """Let the time run in which all that was asked for must settle."""
        if self.sealed_as is None:
            super().sealed()

    def apply(self, message: ApplyNow) -> None:
        """Gather no longer; wait no longer for what is open, if that is wanted."""
        if self.missed or self.ended is not None:
            return  # it is for the next session
        self.heard.add(message.name)
        self.applying = True
        self.cut_short = self.cut_short or not message.waits
        if self.cut_short and self.sealed_as is not None:
            self.processor.tell(CancelTasks(reason="interrupted"))

    def read(self) -> None:
        """Read what the store holds, for all that has been asked by now.

        The changes that were asked for before are in it then.
        """
        self.reading = len(self.asked)
        self.editor.tell(AwaitEdits(message_id=self.message_id, reply_to=self.actor_ref))

    def load(self) -> tuple[MessageLoaded, list[Resolved]]:
        """Read what the store holds, and what that makes of the wishes. Runs on a worker's thread.

        A refined prompt is known to the registry before a picture of it can be.
        """
        asked = self.asked[: self.reading]
        store = self.production.store
        assert keeps_registry(store)  # the studio sees to that
        loaded = store.load(self.message_id)
        version = None if loaded is None else loaded[1]
        registry = store.registry(self.message_id)
        page = loaded and MarkEditor(
            Tags(loaded[0], registry, message_id=self.message_id, notation=self.settings.notation)
        )
        resolved = [self.resolve(message, page) for message in asked]
        known = {prompt.id for prompt in registry.prompts}
        for one in resolved:
            for wish in one.wishes:
                if wish.prompt.id not in known:
                    store.add(wish.prompt)
                    known.add(wish.prompt.id)
        return MessageLoaded(version=version, kept=dict(store.kept(self.message_id))), resolved

    def resolve(self, message: Regenerate, page: MarkEditor | None) -> Resolved:
        """Give what a wish is on the text as it stands."""
        if page is None:
            return Resolved(
                message, (), UnknownMessage(f"the store has no message {self.message_id!r}")
            )
        try:
            return Resolved(message, tuple(message.wishes(page)), None)
        except Exception as error:  # noqa: BLE001  # one wish must not end the others
            return Resolved(message, (), error)

    def loaded(self, returned: CallReturned) -> None:
        """Begin what was asked for, now that the text and its registry are known."""
        if self.overdue is not None:
            self.overdue.cancel()
        if self.ended is not None:
            return
        if returned.error is not None:
            self.fail(returned.error)
            return
        loaded, resolved = returned.value
        if not self.opened:
            self.opened = True
            self.processor.tell(loaded)
            self.writer.tell(loaded)
        self.asked = self.asked[self.reading :]
        self.reading = 0
        for one in resolved:
            self.begin(one)
        if self.asked:
            self.read()
        self.seal_if_settled()

    def begin(self, one: Resolved) -> None:
        """Ask for the pictures of one wish, or refuse it: the others go on."""
        if one.error is not None:
            self.log_event("regeneration_refused", reason=describe(one.error))
            one.message.future.fail_if_pending(one.error)
            return
        most = self.settings.max_prompts_per_message
        wishes = [wish for wish in one.wishes if not wish.once or wish.target not in self.targets]
        for wish in wishes[:most]:
            self.detect(wish, one.message)
        self.over_limit += [wish.prompt.text for wish in wishes[most:]]

    def detect(self, wish: PictureRequest, message: Regenerate) -> None:
        """Ask for one picture."""
        prompt = wish.prompt
        task = Task.wish(
            prompt,
            session_id=self.session_id,
            owner=message.owner,
            priority=message.priority,
            at=self.system.clock.now,
            wish=self.times[prompt.id],
        )
        self.times[prompt.id] += 1
        self.wishes[task.id] = wish
        self.targets.add(wish.target)
        self.open.add(task.id)
        self.log_event(
            "picture_wanted",
            task_id=task.id,
            prompt_id=prompt.id,
            prompt=prompt.text,
            place=wish.place,
            target=wish.target,
        )
        self.processor.tell(PromptDetected(task=task))

    def seal_if_settled(self) -> None:
        """Seal once nothing more is to be waited for, or if that is wanted now."""
        if self.asked or self.reading:
            return
        if self.applying or (self.still and not self.open):
            self.seal("interrupted" if self.cut_short else "complete")

    def seal(self, reason: SealReason) -> None:
        """Say which tasks the write has to wait for; nothing more is gathered."""
        if self.sealed_as is not None or self.ended is not None:
            return
        self.sealed_as = reason
        if self.quiet is not None:
            self.quiet.cancel()
        self.log_event("session_sealed", reason=reason, tasks=sorted(self.wishes))
        if reason == "interrupted":
            self.processor.tell(CancelTasks(reason=reason))
        super().sealed()
        self.writer.tell(
            TotalsSealed(
                task_ids=frozenset(self.wishes),
                text="",
                reason=reason,
                over_limit=tuple(self.over_limit),
                wishes=self.wishes,
            )
        )

    def deadline_passed(self, message: DeadlinePassed) -> None:
        """Write what is finished, or nothing, as the settings say.

        What is still being read has no task yet: its time begins anew, and the store's own is
        bounded.
        """
        if message.waits != self.waits:
            return
        if self.asked and self.sealed_as is None:
            self.deadline = None
            self.settle_in_time()
            return
        self.seal("timed_out")
        super().deadline_passed(message)

    def withdraw(self, message: WithdrawSession) -> None:
        """End without a write, if there is time for that."""
        what = f"the regenerations of message {self.message_id!r} were cancelled"
        withdrawn = SessionCancelled(f"{what}: {message.reason}")
        if self.sealed_as is None:
            self.end("cancelled", error=withdrawn)
        elif message.sealed_too:
            self.withdrawn = withdrawn
            self.writer.tell(CancelWrite())

    def write_skipped(self, message: WriteSkipped) -> None:
        """End without a write."""
        if message.reason == "cancelled" and self.withdrawn is not None:
            self.end("cancelled", error=self.withdrawn)
        else:
            super().write_skipped(message)

    def end_source(self, why: str) -> None:  # noqa: ARG002
        """Gather no longer."""
        if self.quiet is not None:
            self.quiet.cancel()

    def last_word(self) -> SessionEnded:
        """Say how it ended, and which wishes it has heard."""
        return super().last_word().but(heard=frozenset(self.heard))
