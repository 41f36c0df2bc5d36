"""What a host may change in a text that is there already, in its turn."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pykka

from limner.actors.session.stream import plain
from limner.actors.studio.client import SequencerClient
from limner.actors.studio.current_settings import CurrentSettings
from limner.messages.errors import (
    SettingsInvalid,
    TextTooLong,
    UnknownPicture,
    UnknownPrompt,
)
from limner.messages.pictures import Failure, Illustrated, Placement
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.settings import Settings
from limner.messages.status import Pending
from limner.messages.text import revise as revision
from limner.messages.text.compose import Composed
from limner.messages.text.marks import failures_marked, marked, names_failure
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.reconcile import reconcile
from limner.messages.text.tag_tracking import track_tags
from limner.messages.unicode import wellformed
from limner.messages.validation import seconds_of
from limner.messages.writes.protocol import (
    Change,
    ClearWrites,
    EditKind,
    EditText,
    HoldWrites,
    ReleaseWrites,
    ReportPending,
)

_PLACEMENT = re.compile(r"[0-9a-f]{20}:[0-9a-f]{32}")


class TextEdits:
    """The studio's calls that change a stored text, each in its turn.

    The writes of a message are done one at a time, so that no two of them interleave; each future
    gives an `Illustrated` once its write has ended.

    Args:
        client: tells the sequencer.
        settings: of the studio, as they are in force.
    """

    def __init__(self, client: SequencerClient, settings: CurrentSettings) -> None:
        self._client = client
        self._settings = settings

    def _notation(self, settings: Settings | None = None) -> Notation:
        """Return how prompts and pictures stand in a text, by settings or those in force."""
        found = (settings or self._settings.now).notation
        return found.but(clock=self._client.system.cpu_clock)

    def remove(
        self,
        message_id: str,
        placement: str | Placement | Failure,
        *,
        timeout: float | None = None,
    ) -> pykka.Future[Illustrated]:
        """Remove a picture from a text, or the mark of a failure. Its file and history are kept.

        A picture that another program has stripped already is not put back any more; if it has left
        the image, and taken our mark from it alone, that image is the host's own and stays.

        Args:
            message_id: whose text.
            placement: the picture, or the failure; or its id, `PROMPT:PICTURE` or `PROMPT:TASK`.
            timeout: seconds that it may wait for its turn, as in `edit`.

        Raises:
            UnknownPicture: if that is no placement's or failure's id; through the future, if the
                text has none of that id, and should have none.
            UnknownMessage, StudioClosed: as `stream` does.
        """
        target = target_of(placement)
        kind = "mark of the failure" if names_failure(target) else "picture"
        notation = self._notation()

        def change(text: str | None, registry: Registry) -> Composed:
            left = revision.remove(text or "", target, notation=notation)
            known = {
                *(failed.id for failed in registry.failures),
                *(link.placement.id for link in registry.links if link.state == "placed"),
            }
            if left is None and target in known:
                left = text  # it is not there; what is settled is that it should not be
            if left is None:
                raise UnknownPicture(
                    f"message {message_id!r} has no {kind} {target} in its text; "
                    "it may have been removed or replaced"
                )
            if names_failure(target):
                return Composed(text=left, answered=(target,))
            return Composed(text=left, removed=(target,))

        return self._edit(message_id, "remove", change, timeout)

    def edit(
        self, message_id: str, change: Callable[[str], str], *, timeout: float | None = None
    ) -> pykka.Future[Illustrated]:
        """Change a stored text in its turn, so that no other write of it comes in between.

        A picture that the change takes out is gone on purpose: reconciling leaves it out. A tag
        that the change moves stays with its prompt, and so with its pictures and its history.

        Args:
            message_id: whose text; one that is being streamed is changed after its write.
            change: gets the text as it is then, and returns the new one. Runs on a worker's thread,
                and once more if another program has changed the text meanwhile.
            timeout: seconds that it may wait for its turn, 0 to 86,400; without bound if `None`.
                What it waits for is told by the event `edit_waits`. Past it the future raises
                `MessageBusy`, which names that, and the text stays as it is.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does; all else comes through the future:
                what `change` raises, `TextTooLong`, `UnknownMessage` if the store has no text.
        """
        settings = self._settings.now
        most, notation = settings.max_text, self._notation(settings)

        def made(text: str | None, registry: Registry) -> Composed:
            before = text or ""
            after = wellformed(plain(change(before)))
            if len(after) > most:
                raise TextTooLong(
                    f"the text of message {message_id!r} would have {len(after):,} characters; "
                    f"Settings.max_text allows {most:,}"
                )
            stood, stands = marked(before), marked(after)
            back = stands - stood
            return Composed(
                text=after,
                placed=tuple(
                    link.placement for link in registry.links if link.placement.id in back
                ),
                removed=tuple(sorted(stood - stands)),
                answered=tuple(sorted(failures_marked(before) - failures_marked(after))),
                claims=track_tags(
                    before,
                    after,
                    registry,
                    message_id=message_id,
                    notation=notation,
                ),
            )

        return self._edit(message_id, "edit", made, timeout)

    def rewrite(
        self, message_id: str, prompt: Prompt, *, timeout: float | None = None
    ) -> pykka.Future[Illustrated]:
        """Rewrite the tag of a refined prompt's parent to the refined one, without a new picture.

        Args:
            message_id: whose text.
            prompt: what `refine` returned.
            timeout: seconds that it may wait for its turn, as in `edit`.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does; through the future also
                `UnknownPrompt` if the text has no tag of its line, and `SettingsInvalid` if the
                tag cannot say it.
        """
        check_whose(prompt, message_id)
        notation = self._notation()

        def change(text: str | None, registry: Registry) -> Composed:
            tags = PromptTags(text or "", registry, message_id=message_id, notation=notation)
            at = tags.index(prompt.id)
            if at is None:
                raise UnknownPrompt(
                    f"message {message_id!r} has no tag of the prompt {prompt.text!r:.80}, "
                    "nor of one that it was refined from"
                )
            written = tags.rewritten({at: prompt})
            claims = written.claims if written.claims != registry.claims else None
            return Composed(text=written.text, claims=claims)

        return self._edit(message_id, "rewrite", change, timeout)

    def reconcile(
        self, message_id: str, *, timeout: float | None = None
    ) -> pykka.Future[Illustrated]:
        """Put back the pictures that another program has stripped from a text, beside their tags.

        The future's `pictures` are those that were put back, `unplaced` those that could not be,
        with the reason.

        Args:
            message_id: whose text.
            timeout: seconds that it may wait for its turn, as in `edit`.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        change = partial(reconcile, message_id=message_id, notation=self._notation())
        return self._edit(message_id, "reconcile", change, timeout)

    def hold(self, message_id: str) -> pykka.Future[None]:
        """Hold the writes of a message until `release`; pictures go on being made.

        The future is done once no write of it is under way. Closing the studio releases it.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = self._client.message_id(message_id)
        future = self._client.future(f"the hold of message {message_id!r}")
        self._client.send(HoldWrites(message_id=message_id, future=future), future)
        return future

    def release(self, message_id: str) -> None:
        """Release the writes of a message; one that is not held is left alone.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        self._client.send(ReleaseWrites(message_id=self._client.message_id(message_id)))

    def pending(self, message_id: str) -> Pending:
        """Return what waits to be written of a message.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = self._client.message_id(message_id)
        future = self._client.future(f"what waits of message {message_id!r}")
        self._client.send(ReportPending(message_id=message_id, future=future), future)
        pending: Pending = future.get()
        return pending

    def clear(self, message_id: str) -> int:
        """Cancel what waits: edits, removals, and regenerations that are not being written yet.

        Their futures raise `SessionCancelled`. What is streamed is never cancelled, and what is
        being written just now is written.

        Returns:
            How many of them had no outcome yet.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = self._client.message_id(message_id)
        future = self._client.future(f"the clearing of message {message_id!r}")
        self._client.send(ClearWrites(message_id=message_id, future=future), future)
        cleared: int = future.get()
        return cleared

    def _edit(
        self, message_id: str, kind: EditKind, change: Change, timeout: float | None
    ) -> pykka.Future[Illustrated]:
        message_id = self._client.message_id(message_id)
        if timeout is not None:
            timeout = seconds_of("timeout", timeout)
        future = self._client.future(f"the {kind} of message {message_id!r}")
        self._client.send(
            EditText(
                edit_id=self._client.system.new_id(),
                message_id=message_id,
                kind=kind,
                change=change,
                future=future,
                timeout=timeout,
            ),
            future,
        )
        return future


def check_whose(prompt: object, message_id: str) -> None:
    """Raise `SettingsInvalid` unless a prompt is one of a message."""
    if not isinstance(prompt, Prompt):
        raise SettingsInvalid(f"prompt: what refine gave, not {prompt!r:.80}")
    if prompt.message_id != message_id:
        raise SettingsInvalid(
            f"prompt: it is one of message {prompt.message_id!r:.80}, not of {message_id!r:.80}"
        )


def target_of(given: object) -> str:
    """Return the id of a picture's placement, or of a failure.

    Raises:
        UnknownPicture: if it is neither.
    """
    name = given.id if isinstance(given, Placement | Failure) else given
    if not isinstance(name, str) or not (_PLACEMENT.fullmatch(name) or names_failure(name)):
        raise UnknownPicture(
            "a placement is PROMPT:PICTURE and a failure PROMPT:TASK, as the mark in the text has "
            f"it, not {given!r:.80}"
        )
    return name


def failure_of(given: object) -> str:
    """Return the id of a failure.

    Raises:
        UnknownPicture: if it is none.
    """
    name = given.id if isinstance(given, Failure) else given
    if not isinstance(name, str) or not names_failure(name):
        raise UnknownPicture(
            f"a failure is PROMPT:TASK, as the mark in the text has it, not {given!r:.80}"
        )
    return name
