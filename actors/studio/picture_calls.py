"""What a host may request for a text that is there already: other pictures, other prompts."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pykka

from limner.actors.session.outcomes import OnPicture, Outcomes, check_on_picture
from limner.actors.session.stream import plain
from limner.actors.stores.protocol import RegistryStore, Store, keeps_registry
from limner.actors.studio.client import SequencerClient
from limner.actors.studio.current_settings import CurrentSettings
from limner.actors.studio.text_edits import check_whose, failure_of, target_of
from limner.actors.system import RequestFuture
from limner.messages.errors import LimnerError, SessionCancelled, SettingsInvalid, UnknownPrompt
from limner.messages.picture_requests import TAG_PLACES, AgainMode, Mode, PictureRequest
from limner.messages.pictures import Failure, Illustrated, Placement
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.session.control import TakeBackRequest
from limner.messages.session.lifecycle import ApplyNow, Regenerate, Resolver
from limner.messages.text import regenerate as requests
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.registry_order import in_text_order
from limner.messages.unicode import wellformed
from limner.messages.validation import mode_of, owner_of, priority_of

SOURCES = ("manual", "model")


class PictureCalls:
    """The studio's calls for pictures of texts that are there already, and for their history.

    Args:
        client: tells the sequencer.
        settings: of the studio, as they are in force.
        store: what keeps the registry.
    """

    def __init__(self, client: SequencerClient, settings: CurrentSettings, store: Store) -> None:
        self._client = client
        self._settings = settings
        self._store = store

    def regenerate(
        self,
        message_id: str,
        placement: str | Placement | Failure,
        *,
        mode: Mode | AgainMode = "replace-image",
        prompt: str | Prompt | None = None,
        owner: str | None = None,
        priority: str | int = "active",
        on_picture: OnPicture | None = None,
    ) -> RequestFuture[Illustrated]:
        """Request one more picture; those requested for one message are written together.

        They are written when nothing new was requested for `Settings.settle_after` seconds and all
        are settled, or at `apply`. Each call is a request of its own, also for one picture. One
        that fails leaves the old picture where it is. `cancel()` of the future takes the request
        back as long as it gathers; the others go on.

        Args:
            message_id: whose.
            placement: the picture that it is for, or its id, `PROMPT:PICTURE`; or a failure, or its
                id, `PROMPT:TASK`, whose mark the picture takes the place of.
            mode: where the new one goes: `replace-image`, `append-after-image` or
                `append-after-prompt`. Several that replace one picture all stand in its place.
                `replace` and `append`, their former names, are accepted for the first two.
            prompt: what is drawn in place of the picture's own prompt: a text, or one of its
                `history`, as `refine` returned it. The tag in the text comes to say it once the
                picture is there. By default what the tag says, if it was changed by hand.
            owner: on whose behalf, up to 200 characters.
            priority: `active`, `background`, or 0 (first) to 9.
            on_picture: called with the picture as it finishes, a `Placement`, or a `Failure` if
                there is none, as `Studio.stream` does; not with those that other calls asked for.

        Raises:
            MessageBusy: if the message is being streamed.
            UnknownPicture: if that is no placement's or failure's id; through the future, if the
                text has none of that id.
            SettingsInvalid: if an argument is out of its bounds; through the future, if the prompt
                cannot be written in its tag or was not refined from the picture's.
            UnknownPrompt: through the future, if the registry has not the one that is given.
            UnknownMessage, StudioClosed: as `stream` does.
        """
        target = target_of(placement)
        place = mode_of(mode)
        if isinstance(prompt, Prompt):
            check_whose(prompt, message_id)
        elif prompt is not None:
            prompt = wellformed(plain(prompt))
            if not prompt.strip():
                raise SettingsInvalid("prompt: a prompt says what is to be drawn")

        def resolve(editor: MarkEditor) -> tuple[PictureRequest]:
            return (requests.request_one(editor, target, place, prompt),)

        return self._regenerate(message_id, resolve, owner, priority, on_picture)

    def illustrate_again(
        self,
        message_id: str,
        mode: Mode | AgainMode = "append-after-image",
        *,
        only_missing: bool = False,
        owner: str | None = None,
        priority: str | int = "active",
        on_picture: OnPicture | None = None,
    ) -> RequestFuture[Illustrated]:
        """Request one more picture of every prompt of a stored message.

        Args:
            message_id: whose.
            mode: `append-after-image` puts each after those that its prompt has, `replace-image` in
                their place, `append-after-prompt` directly after the tag. Former names are
                accepted, as in `regenerate`.
            only_missing: whether only prompts are meant that have no picture. One that another
                program has stripped is put back by `reconcile`. Where a failure has left its mark,
                the picture takes that mark's place.
            owner: on whose behalf.
            priority: `active`, `background`, or 0 (first) to 9.
            on_picture: called with each of these pictures as it finishes, as `regenerate` does;
                also with one that is not drawn twice since another call has asked for it.

        Raises:
            MessageBusy, UnknownMessage, SettingsInvalid, StudioClosed: as `regenerate` does.
        """
        place = TAG_PLACES[mode_of(mode)]
        resolve = partial(requests.request_all, place=place, only_missing=only_missing)
        return self._regenerate(message_id, resolve, owner, priority, on_picture, whole=True)

    def retry(
        self,
        message_id: str,
        failure: str | Failure | None = None,
        *,
        owner: str | None = None,
        priority: str | int = "active",
        on_picture: OnPicture | None = None,
    ) -> RequestFuture[Illustrated]:
        """Retry what has left the mark of a failure; a success takes the mark's place.

        What the tag says now is drawn.

        Args:
            message_id: whose.
            failure: the only one that is retried, or its id, `PROMPT:TASK`. If failures leave no
                marks (`Settings.placeholders`), the picture goes beside its prompt's tag.
            owner: on whose behalf.
            priority: `active`, `background`, or 0 (first) to 9.
            on_picture: called with each of these pictures as it finishes, as `illustrate_again`
                does.

        Raises:
            UnknownPicture: if that is no failure's id; through the future, if the text has none of
                that id.
            MessageBusy, UnknownMessage, SettingsInvalid, StudioClosed: as `regenerate` does.
        """
        target = None if failure is None else failure_of(failure)
        resolve = partial(requests.request_retries, failure=target)
        return self._regenerate(message_id, resolve, owner, priority, on_picture)

    def apply(self, message_id: str, *, wait: bool = True) -> pykka.Future[Illustrated | None]:
        """Apply what gathers: write once all that was requested is settled.

        The future gives what those of the requests give; `None` if nothing gathers.

        Args:
            message_id: whose regenerations.
            wait: whether to wait for the pictures that are not finished; else they are cancelled.

        Raises:
            UnknownMessage, StudioClosed: as `stream` does.
        """
        message_id = self._client.message_id(message_id)
        future = self._client.future(f"the regenerations of message {message_id!r}")
        name = self._client.system.new_id()
        self._client.send(
            ApplyNow(name=name, message_id=message_id, waits=wait, future=future), future
        )
        return future

    def refine(
        self,
        prompt_id: str,
        text: str,
        feedback: str | None = None,
        source: str = "manual",
    ) -> Prompt:
        """Make a child of a prompt, which says something else; the prompt itself stays.

        The same words make no child: the prompt itself is returned. The text of the message is not
        changed by this: see `rewrite` and `regenerate`. Reads and writes the store on the thread
        that calls.

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
        most = self._settings.now.max_tag
        if not 0 < len(text) <= most:
            raise SettingsInvalid(f"text: a prompt has 1 to {most:,} characters, not {len(text):,}")
        if feedback is not None and len(feedback := wellformed(plain(feedback))) > 10_000:
            raise SettingsInvalid(f"feedback: at most 10,000 characters, not {len(feedback):,}")
        if source not in SOURCES:
            raise SettingsInvalid(f"source: one of {', '.join(SOURCES)}, not {source!r:.80}")
        store = self._registry_store()
        parent = self._prompt(store, prompt_id)
        if text == parent.text:
            return parent
        child = parent.refined(
            text, feedback=feedback, source="manual" if source == "manual" else "model"
        )
        store.add(child)
        return store.prompt(child.id) or child

    def history(self, prompt_id: str) -> tuple[Prompt, ...]:
        """Return the line of a prompt: from its root through it to the newest refined from it.

        Reads the store on the thread that calls.

        Raises:
            UnknownPrompt: if the registry has no such prompt.
            SettingsInvalid: if the store keeps no registry.
        """
        store = self._registry_store()
        prompt = self._prompt(store, prompt_id)
        return store.registry(prompt.message_id).line(prompt.id)

    def registry(self, message_id: str) -> Registry:
        """Return all that is known of a message: its prompts, their pictures, whose each tag is.

        Its prompts come in the order of the text, those that were refined from one prompt together,
        oldest first; then those without a tag in the text, in the order in which they became known.
        Reads the store on the thread that calls.

        Raises:
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if the store keeps no registry.
        """
        store, message_id = self._registry_store(), self._client.message_id(message_id)
        registry = store.registry(message_id)
        loaded = None
        if len(registry.prompts) > 1:
            with suppress(LimnerError):  # what is known is told also where no text can be read
                loaded = store.load(message_id)
        if loaded is None:
            return registry
        notation = self._settings.now.notation.but(clock=self._client.system.cpu_clock)
        return in_text_order(registry, loaded[0], message_id=message_id, notation=notation)

    def _regenerate(
        self,
        message_id: str,
        resolve: Resolver,
        owner: str | None,
        priority: str | int,
        on_picture: OnPicture | None,
        *,
        whole: bool = False,
    ) -> RequestFuture[Illustrated]:
        self._registry_store()
        callback = check_on_picture(on_picture)
        message_id = self._client.message_id(message_id)
        about = f"a regeneration of message {message_id!r}"
        name = self._client.system.new_id()
        future = self._client.request_future(about, partial(self._take_back, message_id, name))
        outcomes = callback and Outcomes(self._client.system, future, about)
        message = Regenerate(
            session_id=name,
            message_id=message_id,
            owner=owner_of(owner),
            priority=priority_of(priority),
            settings=self._settings.now,
            resolve=resolve,
            future=future,
            outcomes=outcomes,
            whole=whole,
        )
        if outcomes is not None:
            self._client.call_back(outcomes, callback)
        with self._client.lock:
            self._client.check_not_streamed(
                message_id, "its pictures can be regenerated once it is complete"
            )
            self._client.send_locked(message, future)
        return future

    def _take_back(
        self, message_id: str, name: str, request: RequestFuture[Illustrated]
    ) -> pykka.Future[bool]:
        """Take a request back, as `RequestFuture.cancel` does."""
        client = self._client
        reply = client.future(f"the taking back of a request of message {message_id!r}")
        if not request.done:
            message = TakeBackRequest(message_id=message_id, name=name, future=reply)
            with client.lock:
                client.send_locked(message, reply, while_closing=True)
        request.when_done(lambda: reply.set_if_pending(_was_cancelled(request)))
        return reply

    def _registry_store(self) -> RegistryStore:
        if not keeps_registry(self._store):
            raise SettingsInvalid(
                f"store: {type(self._store).__name__} keeps no registry of prompts and pictures, "
                "which this needs; give it the methods of "
                "limner.actors.stores.protocol.RegistryStore"
            )
        return self._store

    @staticmethod
    def _prompt(store: RegistryStore, prompt_id: object) -> Prompt:
        prompt = store.prompt(prompt_id) if isinstance(prompt_id, str) else None
        if prompt is None:
            raise UnknownPrompt(f"the registry has no prompt {prompt_id!r:.80}")
        return prompt


def _was_cancelled(request: RequestFuture[Illustrated]) -> bool:
    """Return whether a request that is done was cancelled."""
    try:
        request.get(timeout=0)
    except SessionCancelled:
        return True
    except Exception:  # noqa: BLE001  # it is its own caller's
        return False
    return False
