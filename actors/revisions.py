"""What a host may wish for a text that is there already: the other half of the studio's handle."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import pykka

from limner.actors.stores.protocol import RegistryStore, Store, keeps_registry
from limner.actors.stream import Stream, plain
from limner.actors.system import PooledFuture, PooledRef, System
from limner.messages import revision
from limner.messages.composition import Composed
from limner.messages.editing import (
    Change,
    ClearWrites,
    EditKind,
    EditText,
    HoldWrites,
    Pending,
    ReleaseWrites,
    ReportPending,
)
from limner.messages.errors import (
    MessageBusy,
    SettingsInvalid,
    StudioClosed,
    TextTooLong,
    UnknownPicture,
    UnknownPrompt,
)
from limner.messages.marks import marked
from limner.messages.opening import (
    ApplyNow,
    Regenerate,
    Wishes,
    message_id_of,
    owner_of,
    priority_of,
)
from limner.messages.pictures import Illustrated, Placement, Prompt
from limner.messages.reconciling import reconcile
from limner.messages.registry import Registry
from limner.messages.settings import Settings
from limner.messages.tags import Tags
from limner.messages.wellformed import wellformed
from limner.messages.wishes import AgainMode, Mode, Wish

_PLACEMENT = re.compile(r"[0-9a-f]{20}:[0-9a-f]{32}")
SOURCES = ("manual", "model")


class Revisions:
    """The studio's calls for texts that are there already.

    All that changes a stored text goes through the message's one queue of writes, so that no two
    writes of it interleave; each future gives an `Illustrated` once its write has ended.
    """

    settings: Settings
    _store: Store
    _system: System
    _root: PooledRef[Any]
    _lock: Any
    _newest: dict[str, Stream]
    _closing: bool
    _owed: dict[PooledFuture[Any], None]

    def regenerate(
        self,
        message_id: str,
        placement: str | Placement,
        *,
        mode: Mode = "replace-image",
        prompt: str | Prompt | None = None,
        owner: str | None = None,
        priority: str | int = "active",
    ) -> pykka.Future[Illustrated]:
        """Wish for one more picture; those wished for one message are written together.

        They are written when nothing new was asked for `Settings.settle_after` seconds and all
        are settled, or at `apply`. Each call is a wish of its own, also for the same picture. One
        that fails leaves the old picture where it is.

        Args:
            message_id: whose.
            placement: the picture that it is for, or its id, `PROMPT:PICTURE`.
            mode: where the new one goes: `replace-image`, `append-after-image` or
                `append-after-prompt`. Several that replace one picture all stand in its place.
            prompt: what is drawn in place of the picture's own prompt: a text, or what `refine`
                gave. The tag in the text comes to say it once the picture is there.
            owner: on whose behalf, up to 200 characters.
            priority: `active`, `background`, or 0 (first) to 9.

        Raises:
            MessageBusy: if the message is being streamed.
            UnknownPicture: if that is no placement's id; through the future, if the text has none
                of that id.
            UnknownMessage, SettingsInvalid, StudioClosed: as `stream` does.
        """
        target = _placement_of(placement)
        if mode not in get_args(Mode):
            raise SettingsInvalid(f"mode: one of {', '.join(get_args(Mode))}, not {mode!r:.80}")
        if isinstance(prompt, Prompt):
            _check_whose(prompt, message_id)
        elif prompt is not None:
            prompt = wellformed(plain(prompt))
            if not prompt.strip():
                raise SettingsInvalid("prompt: a prompt says what is to be drawn")
        wishes = partial(_wish_for, target, mode, prompt, message_id, self.settings)
        return self._regenerate(message_id, wishes, owner, priority)

    def illustrate_again(
        self,
        message_id: str,
        mode: AgainMode = "append",
        *,
        only_missing: bool = False,
        owner: str | None = None,
        priority: str | int = "active",
    ) -> pykka.Future[Illustrated]:
        """Wish for one more picture of every prompt of a stored message.

        Args:
            message_id: whose.
            mode: `append` puts each after those that its prompt has, `replace` in their place.
            only_missing: whether only prompts are meant that have no picture in the text.
            owner: on whose behalf.
            priority: `active`, `background`, or 0 (first) to 9.

        Raises:
            MessageBusy, UnknownMessage, SettingsInvalid, StudioClosed: as `regenerate` does.
        """
        if mode not in get_args(AgainMode):
            known = ", ".join(get_args(AgainMode))
            raise SettingsInvalid(f"mode: one of {known}, not {mode!r:.80}")

        def wishes(text: str, registry: Registry) -> tuple[Wish, ...]:
            return revision.wishes_again(
                text,
                registry,
                mode,
                message_id=message_id,
                notation=self.settings.notation,
                only_missing=only_missing,
            )

        return self._regenerate(message_id, wishes, owner, priority)

    def retry(
        self, message_id: str, *, owner: str | None = None, priority: str | int = "active"
    ) -> pykka.Future[Illustrated]:
        """Try again what has left the mark of a failure; a success takes the mark's place.

        Raises:
            MessageBusy, UnknownMessage, SettingsInvalid, StudioClosed: as `regenerate` does.
        """

        def wishes(text: str, registry: Registry) -> tuple[Wish, ...]:
            return revision.wishes_retry(
                text, registry, message_id=message_id, notation=self.settings.notation
            )

        return self._regenerate(message_id, wishes, owner, priority)

    def apply(self, message_id: str, *, wait: bool = True) -> pykka.Future[Illustrated | None]:
        """Gather no longer: write once all that was wished for is settled.

        The future gives what those of the wishes give; `None` if nothing gathers.

        Args:
            message_id: whose regenerations.
            wait: whether for the pictures that are not finished; else they are let go of.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = message_id_of(message_id)
        future = self._future(f"the regenerations of message {message_id!r}")
        name = self._system.new_id()
        self._send(ApplyNow(name=name, message_id=message_id, waits=wait, future=future), future)
        return future

    def remove(self, message_id: str, placement: str | Placement) -> pykka.Future[Illustrated]:
        """Take a picture out of a text. Its file is kept, and its history.

        Raises:
            UnknownPicture: if that is no placement's id; through the future, if the text has none
                of that id.
            UnknownMessage, StudioClosed: as `stream` does.
        """
        target = _placement_of(placement)

        def change(text: str | None, _: Registry) -> Composed:
            left = revision.remove(text or "", target, notation=self.settings.notation)
            if left is None:
                raise UnknownPicture(
                    f"message {message_id!r} has no picture {target} in its text; "
                    "it may have been removed or replaced"
                )
            return Composed(text=left, removed=(target,))

        return self._edit(message_id, "remove", change)

    def edit(self, message_id: str, change: Callable[[str], str]) -> pykka.Future[Illustrated]:
        """Change a stored text in its turn, so that no other write of it comes in between.

        A picture that the change takes out is gone on purpose: reconciling leaves it out.

        Args:
            message_id: whose text; one that is being streamed is changed after its write.
            change: gets the text as it is then, and gives the new one. Runs on a worker's thread,
                and once more if another program has changed the text meanwhile.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does; all else comes through the future:
                what `change` raises, `TextTooLong`, `UnknownMessage` if the store has no text.
        """
        most = self.settings.max_text

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
            )

        return self._edit(message_id, "edit", made)

    def rewrite(self, message_id: str, prompt: Prompt) -> pykka.Future[Illustrated]:
        """Let the tag of a refined prompt's parent say the refined one, without a new picture.

        Args:
            message_id: whose text.
            prompt: what `refine` gave.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does; through the future also
                `UnknownPrompt` if the text has no tag of its line, and `SettingsInvalid` if the
                tag cannot say it.
        """
        _check_whose(prompt, message_id)
        notation = self.settings.notation

        def change(text: str | None, registry: Registry) -> Composed:
            tags = Tags(text or "", registry, message_id=message_id, notation=notation)
            at = tags.index(prompt.id)
            if at is None:
                raise UnknownPrompt(
                    f"message {message_id!r} has no tag of the prompt {prompt.text!r:.80}, "
                    "nor of one that it was refined from"
                )
            written = tags.rewritten({at: prompt})
            return Composed(text=written.text, claims=written.claims)

        return self._edit(message_id, "rewrite", change)

    def reconcile(self, message_id: str) -> pykka.Future[Illustrated]:
        """Put back the pictures that another program has stripped from a text, beside their tags.

        The future's `pictures` are those that were put back, `unplaced` those that could not be,
        with the reason.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        change = partial(reconcile, message_id=message_id, notation=self.settings.notation)
        return self._edit(message_id, "reconcile", change)

    def hold(self, message_id: str) -> pykka.Future[None]:
        """Let nothing of a message be written until `release`; pictures go on being made.

        The future is done once no write of it is under way. Closing the studio releases it.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = message_id_of(message_id)
        future = self._future(f"the hold of message {message_id!r}")
        self._send(HoldWrites(message_id=message_id, future=future), future)
        return future

    def release(self, message_id: str) -> None:
        """Let the writes of a message go on; one that is not held is left alone.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        self._send(ReleaseWrites(message_id=message_id_of(message_id)))

    def pending(self, message_id: str) -> Pending:
        """Say what waits to be written of a message.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = message_id_of(message_id)
        future = self._future(f"what waits of message {message_id!r}")
        self._send(ReportPending(message_id=message_id, future=future), future)
        pending: Pending = future.get()
        return pending

    def clear(self, message_id: str) -> int:
        """Forget what waits: edits, removals, and regenerations that are not being written yet.

        Their futures raise `SessionCancelled`. What is streamed is never forgotten.

        Returns:
            How many wishes were forgotten.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = message_id_of(message_id)
        future = self._future(f"the clearing of message {message_id!r}")
        self._send(ClearWrites(message_id=message_id, future=future), future)
        cleared: int = future.get()
        return cleared

    def refine(
        self,
        prompt_id: str,
        text: str,
        feedback: str | None = None,
        source: str = "manual",
    ) -> Prompt:
        """Make a child of a prompt, which says something else; the prompt itself stays.

        The text of the message is not changed by this: see `rewrite` and `regenerate`. Reads and
        writes the store on the thread that calls.

        Args:
            prompt_id: of the prompt that is refined.
            text: what the child says, 1 to `Settings.max_tag` characters.
            feedback: why, in the words of who asked for it, up to 10,000 characters.
            source: who wrote it: `manual` or `model`.

        Raises:
            UnknownPrompt: if the registry has no such prompt.
            SettingsInvalid: if an argument is out of its bounds, or the store keeps no registry.
        """
        text = wellformed(plain(text)).strip()
        if not 0 < len(text) <= self.settings.max_tag:
            raise SettingsInvalid(
                f"text: a prompt has 1 to {self.settings.max_tag:,} characters, not {len(text):,}"
            )
        if feedback is not None and len(feedback := wellformed(plain(feedback))) > 10_000:
            raise SettingsInvalid(f"feedback: at most 10,000 characters, not {len(feedback):,}")
        if source not in SOURCES:
            raise SettingsInvalid(f"source: one of {', '.join(SOURCES)}, not {source!r:.80}")
        store = self._registry_store()
        child = self._prompt(store, prompt_id).refined(
            text, feedback=feedback, source="manual" if source == "manual" else "model"
        )
        store.add(child)
        return store.prompt(child.id) or child

    def history(self, prompt_id: str) -> tuple[Prompt, ...]:
        """Give the line of a prompt: from its root through it to the newest refined from it.

        Reads the store on the thread that calls.

        Raises:
            UnknownPrompt: if the registry has no such prompt.
            SettingsInvalid: if the store keeps no registry.
        """
        store = self._registry_store()
        prompt = self._prompt(store, prompt_id)
        return store.registry(prompt.message_id).line(prompt.id)

    def registry(self, message_id: str) -> Registry:
        """Give all that is known of a message: its prompts, their pictures, who holds which tag.

        Reads the store on the thread that calls.

        Raises:
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if the store keeps no registry.
        """
        return self._registry_store().registry(message_id_of(message_id))

    def _regenerate(
        self, message_id: str, wishes: Wishes, owner: str | None, priority: str | int
    ) -> pykka.Future[Illustrated]:
        self._registry_store()
        message_id = message_id_of(message_id)
        future = self._future(f"a regeneration of message {message_id!r}")
        message = Regenerate(
            session_id=self._system.new_id(),
            message_id=message_id,
            owner=owner_of(owner),
            priority=priority_of(priority),
            wishes=wishes,
            future=future,
        )
        with self._lock:
            stream = self._newest.get(message_id)
            if stream is not None and not stream.ended:
                raise MessageBusy(
                    f"message {message_id!r} is being streamed; its pictures can be regenerated "
                    "once it is complete"
                )
            self._send_locked(message, future)
        return future

    def _edit(self, message_id: str, kind: EditKind, change: Change) -> pykka.Future[Illustrated]:
        message_id = message_id_of(message_id)
        future = self._future(f"the {kind} of message {message_id!r}")
        self._send(
            EditText(
                edit_id=self._system.new_id(),
                message_id=message_id,
                kind=kind,
                change=change,
                future=future,
            ),
            future,
        )
        return future

    def _future(self, about: str) -> PooledFuture[Any]:
        return self._system.future(about=about)

    def _send(self, message: Any, future: PooledFuture[Any] | None = None) -> None:
        with self._lock:
            self._send_locked(message, future)

    def _send_locked(self, message: Any, future: PooledFuture[Any] | None) -> None:
        """Tell the root, who owes a future for it from now on; the lock is held."""
        if self._closing:
            raise StudioClosed(self._why_closed())
        if future is not None:
            self._owed[future] = None
            future.when_done(partial(self._paid, future))
        self._root.deliver(message)

    def _paid(self, future: PooledFuture[Any]) -> None:
        self._owed.pop(future, None)

    def _fail_owed(self) -> None:
        """Leave nobody waiting for what can never come."""
        with self._lock:
            owed = list(self._owed)
        for future in owed:
            future.give_up(StudioClosed(self._why_closed()))

    def _why_closed(self) -> str:
        raise NotImplementedError

    def _registry_store(self) -> RegistryStore:
        if not keeps_registry(self._store):
            raise SettingsInvalid(
                f"store: {type(self._store).__name__} keeps no registry of prompts and pictures, "
                "which this needs; give it the methods of "
                "limner.actors.stores.protocol.RegistryStore"
            )
        return self._store

    @staticmethod
    def _prompt(store: RegistryStore, prompt_id: str) -> Prompt:
        prompt = store.prompt(prompt_id)
        if prompt is None:
            raise UnknownPrompt(f"the registry has no prompt {prompt_id!r:.80}")
        return prompt


def _check_whose(prompt: Prompt, message_id: str) -> None:
    if prompt.message_id != message_id:
        raise SettingsInvalid(
            f"prompt: it is one of message {prompt.message_id!r:.80}, not of {message_id!r:.80}"
        )


def _placement_of(given: object) -> str:
    name = given.id if isinstance(given, Placement) else given
    if not isinstance(name, str) or not _PLACEMENT.fullmatch(name):
        raise UnknownPicture(
            f"a placement is PROMPT:PICTURE, as the mark in the text has it, not {given!r:.80}"
        )
    return name


def _wish_for(
    target: str,
    mode: Mode,
    prompt: str | Prompt | None,
    message_id: str,
    settings: Settings,
    text: str,
    registry: Registry,
) -> tuple[Wish, ...]:
    """Give the wish for one placement of a text."""
    wanted = prompt if isinstance(prompt, str) else None
    wish = revision.wish_for(
        text, registry, target, mode, wanted, message_id=message_id, notation=settings.notation
    )
    if isinstance(prompt, Prompt) and prompt.id != wish.prompt.id:
        wish = wish.but(prompt=prompt, rewrites=True)
    return (wish,)
