"""The monitor: text in, prompts out, totals sealed at the end.

Hears `TextStreamed` from the host's stream and takes what lies there, and `SetPriority` from the
session; tells the processor `PromptDetected`, `PromptWithdrawn` and `SetPriority`, the writer
`StreamSealed`, the session `SessionSealed`. Started and ended by the session.
"""

from __future__ import annotations

from typing import Any

from limner.actors.base import MessageActor
from limner.actors.context import StudioContext
from limner.actors.session.stream import Stream
from limner.actors.system import PooledRef, Timer
from limner.messages.prompts import NearMiss, Prompt, PromptMatch
from limner.messages.session.control import SetPriority
from limner.messages.session.lifecycle import OpenStream
from limner.messages.session.processing import CancelTasks, PromptDetected, PromptWithdrawn
from limner.messages.session.streaming import (
    IdleChecked,
    SealReason,
    SessionSealed,
    StreamEnded,
    StreamInterrupted,
    TextReplaced,
    TextStreamed,
)
from limner.messages.session.totals import StreamSealed
from limner.messages.tasks import Task
from limner.messages.text.near_misses import fields_of, find_near_misses
from limner.messages.text.scanner import PromptScanner
from limner.messages.unicode import wellformed

Key = tuple[str, int]


class MonitorActor(MessageActor):
    """Watches the text of one message."""

    role = "monitor"

    def __init__(
        self,
        context: StudioContext,
        opening: OpenStream,
        *,
        session: PooledRef[Any],
        processor: PooledRef[Any],
        writer: PooledRef[Any],
    ) -> None:
        super().__init__(context.log, opening)
        self.opening = opening
        self.stream: Stream = opening.stream
        self.settings = context.settings
        self.session = session
        self.processor = processor
        self.writer = writer
        self.budget = self.settings.notation.but(clock=self.system.cpu_clock).new_budget()
        self.dropped: dict[str, None] = {}
        self.scanner = self.new_scanner()
        self.parts: list[str] = []
        self.held_back = ""
        self.prompts: dict[Key, str] = {}
        self.matches: list[PromptMatch] = []
        self.over_limit: dict[Key, None] = {}
        self.times: dict[Key, int] = {}  # how often each was withdrawn
        self.told: list[str] = []
        self.sealed = False
        self.last_text = self.system.clock.now
        self.idle: Timer | None = None

    def on_start(self) -> None:
        """Read what the host has fed before there was a monitor."""
        self.stream.attach(self.actor_ref)
        if self.settings.idle_timeout is not None:
            self.check_idle_in(self.settings.idle_timeout)

    def on_stop(self) -> None:
        """Stop the timer."""
        if self.idle is not None:
            self.idle.cancel()

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case TextStreamed():
                self.take_all()
            case IdleChecked():
                self.check_idle()
            case SetPriority():
                self.opening = self.opening.but(priority=message.priority)
                self.processor.tell(message)
            case _:
                return super().on_receive(message)
        return None

    def take_all(self) -> None:
        """Read what lies in the stream."""
        items = self.stream.take()
        if items:
            self.last_text = self.system.clock.now
            self.take(items)

    def take(self, items: list[Any]) -> None:
        """Read chunks, many at once, and the rest one by one."""
        begin = 0
        for index in [index for index, item in enumerate(items) if type(item) is not str]:
            self.read("".join(items[begin:index]))
            begin = index + 1
            match items[index]:
                case TextReplaced(text=text):
                    self.replace(wellformed(text))
                case StreamEnded(text=text):
                    self.complete(text)
                case StreamInterrupted():
                    self.seal("interrupted")
        self.read("".join(items[begin:]))

    def read(self, delta: str) -> None:
        """Read on."""
        if not delta or self.sealed:
            return
        delta = self.held_back + delta
        # half of a character outside the basic plane waits for its other half
        self.held_back = delta[-1] if "\ud800" <= delta[-1] <= "\udbff" else ""
        delta = wellformed(delta[: len(delta) - len(self.held_back)])
        self.parts.append(delta)
        self.detect_all(self.scanner.feed(delta))
        self.notice_runaways()

    def replace(self, text: str, *, final: bool = False) -> None:
        """Replace the text, which may differ from what was read; keep the prompts in both."""
        if self.sealed:
            return
        known = self.text()
        if text.startswith(known):
            self.held_back = ""
            self.read(text[len(known) :])
            return
        self.held_back = ""
        self.parts = [text]
        self.scanner = self.new_scanner()
        matches = self.scanner.feed(text)
        if final:
            matches += self.scanner.close()
        found = {(match.text, match.ordinal) for match in matches}
        for key in [key for key in self.prompts if key not in found]:
            self.withdraw(key)
        self.over_limit.clear()
        self.matches.clear()
        self.detect_all(matches)
        self.notice_runaways()

    def detect_all(self, matches: list[PromptMatch]) -> None:
        """Ask for the pictures of prompts, in the order of the text."""
        self.matches += matches
        for match in matches:
            self.detect(match)

    def detect(self, match: PromptMatch) -> None:
        """Ask for the picture of a prompt, unless that was done or the message has too many."""
        key = (match.text, match.ordinal)
        if key in self.prompts:
            return
        if len(self.prompts) >= self.settings.max_prompts_per_message:
            self.over_limit[key] = None
            return
        opening = self.opening
        task = Task.requested(
            Prompt.of(opening.message_id, match),
            session_id=opening.session_id,
            owner=opening.owner,
            priority=opening.priority,
            at=self.system.clock.now,
            number=self.times.get(key, 0),
        )
        self.prompts[key] = task.id
        self.told.append(task.id)
        self.log_event(
            "prompt_detected", task_id=task.id, prompt_id=task.prompt_id, prompt=task.prompt
        )
        self.processor.tell(PromptDetected(task=task, outcomes=(self.stream.outcomes,)))

    def withdraw(self, key: Key) -> None:
        """Withdraw a task: the text no longer holds its prompt."""
        task_id = self.prompts.pop(key)
        self.times[key] = self.times.get(key, 0) + 1
        self.log_event("prompt_withdrawn", task_id=task_id)
        self.processor.tell(PromptWithdrawn(task_id=task_id))

    def complete(self, text: str | None) -> None:
        """Seal a complete text."""
        if self.sealed:
            return
        if text is not None:
            self.replace(wellformed(text), final=True)
        elif self.held_back:
            self.held_back = ""
            self.read("\ufffd")  # for a character whose other half never came
        self.detect_all(self.scanner.close())
        self.notice_runaways()
        self.seal("complete")

    def seal(self, reason: SealReason) -> None:
        """Tell the writer which tasks it has to wait for."""
        if self.sealed:
            if reason == "interrupted":
                self.processor.tell(CancelTasks(reason=reason))
            return
        self.sealed = True
        if self.idle is not None:
            self.idle.cancel()
        self.log_event("session_sealed", reason=reason, tasks=sorted(self.told))
        if reason != "complete":
            self.processor.tell(CancelTasks(reason=reason))
        near_misses = self.near_misses()
        self.session.tell(SessionSealed(reason=reason))
        self.writer.tell(
            StreamSealed(
                task_ids=frozenset(self.told),
                text=self.text(),
                reason=reason,
                matches=tuple(self.matches),
                over_limit=tuple(text for text, _ in self.over_limit),
                dropped_patterns=tuple(self.dropped),
                near_misses=near_misses,
            )
        )

    def near_misses(self) -> tuple[NearMiss, ...]:
        """Return what looks like a tag in the whole text and is none, and log it.

        Nothing if a pattern was dropped, since its tags are not all known then.
        """
        if self.dropped:
            return ()
        found = find_near_misses(
            self.text(),
            self.matches,
            self.settings.patterns,
            max_tag=self.settings.max_tag,
            skipped=self.scanner.ignored,
        )
        if found:
            self.log_event("near_misses_found", **fields_of(found))
        return found

    def text(self) -> str:
        """Return the text so far."""
        if len(self.parts) > 1:
            self.parts = ["".join(self.parts)]
        return self.parts[0] if self.parts else ""

    def new_scanner(self) -> PromptScanner:
        """Return a scanner for a text from its beginning, without the patterns that were dropped.

        The budget is the message's: a text that is replaced again and again gets no new one.
        """
        return PromptScanner(
            [pattern for pattern in self.settings.patterns if pattern not in self.dropped],
            max_tag=self.settings.max_tag,
            timeout=self.settings.pattern_timeout,
            budget=self.budget,
            ignore=self.settings.ignore,
        )

    def notice_runaways(self) -> None:
        """Log once which patterns were given up."""
        for pattern in self.scanner.dropped:
            if pattern not in self.dropped:
                self.dropped[pattern] = None
                self.log_event("pattern_dropped", pattern=pattern)

    def check_idle(self) -> None:
        """Interrupt a stream that has had no text for too long."""
        timeout = self.settings.idle_timeout
        if timeout is None or self.sealed:
            return
        self.take_all()
        left = timeout - (self.system.clock.now - self.last_text) / 1_000_000
        if left <= 0:
            self.stream.end("it has had no text for too long")
            self.take_all()
            self.seal("timed_out")
        else:
            self.check_idle_in(left)

    def check_idle_in(self, seconds: float) -> None:
        """Check again after so many seconds."""
        self.idle = self.system.clock.after(seconds, self.actor_ref, IdleChecked())
