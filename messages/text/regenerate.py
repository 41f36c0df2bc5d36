"""Requests for further pictures of a stored text: for one picture, for all tags, for failures."""

from collections.abc import Mapping
from typing import NamedTuple

from limner.messages.errors import SettingsInvalid, UnknownPicture, UnknownPrompt
from limner.messages.picture_requests import Mode, PictureRequest, TagPlace
from limner.messages.pictures import MarkedFailure
from limner.messages.prompts import Prompt
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.marks import names_failure
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.unicode import wellformed


def request_one(
    editor: MarkEditor, target: str, place: Mode, prompt: str | Prompt | None = None
) -> PictureRequest:
    """Return the request for one more picture, in place of a picture of a text or beside it.

    Args:
        editor: the text; it stays as it is.
        target: the id of the picture's placement, or of a failure. The picture for a failure takes
            the place of its mark, except after `append-after-prompt`.
        place: where the new picture goes.
        prompt: what to draw; by default, the picture's prompt, or what its tag says if somebody has
            changed that by hand; for a failure, what `request_retries` draws. A text of 1 to
            `max_tag` characters that differs from it makes a child of that prompt. The tag is
            rewritten to the prompt, unless another tag belongs to it.

    Raises:
        UnknownPicture: if the picture is not in the text; or if nothing is known of its prompt,
            and it does not stand directly after a tag.
        UnknownPrompt: if the registry does not have the given prompt; or if the picture is to go
            after a tag that is no longer in the text.
        SettingsInvalid: if the given prompt is empty or too long, has another root than the
            picture's prompt, or cannot be written into its tag.
    """
    again: PictureRequest | None = None
    if names_failure(target):
        (again,) = request_retries(editor, target)
        known, place_now, rewrites = again.prompt, again.place, again.rewrites
    else:
        known, place_now, rewrites = _prompt_of_picture(editor, target, prompt), place, False
    wanted = known if prompt is None else _wanted_prompt(editor.tags, known, prompt)
    at = editor.tags.index(known.id)  # what cannot be written is refused before anything is drawn
    if place == "append-after-prompt" and at is None:
        raise UnknownPrompt(
            f"the prompt of picture {_shown(target)} stands in the text no more; "
            "ask for another mode"
        )
    if prompt is not None and at is not None:
        editor.tags.rewritten({at: wanted})
    return PictureRequest(
        prompt=wanted,
        place=place if place == "append-after-prompt" else place_now,
        target=known.id if place == "append-after-prompt" else target,
        rewrites=rewrites or prompt is not None,
        owner=None if at is None else editor.tags.owners[at],
        replaces=again.replaces if again is not None and place == "replace-image" else None,
    )


def _prompt_of_picture(editor: MarkEditor, name: str, given: str | Prompt | None) -> Prompt:
    """Return the prompt that a picture is made again from.

    Args:
        editor: the text.
        name: the id of its placement.
        given: what is to be drawn in its place, if that is given.

    Raises:
        UnknownPicture: as `request_one` does.
    """
    if not any(mark.kind == "picture" for mark in editor.present.get(name, ())):
        raise UnknownPicture(f"the text holds no picture {_shown(name)}; name one that it holds")
    tags = editor.tags
    known = tags.known.get(name.partition(":")[0])
    if known is not None and isinstance(given, Prompt):
        return known  # both are of one history, whatever the tag says
    at = editor.tag_of(name)
    if at is not None and (known is None or tags.index(known.id) is None):
        return tags.prompt(at)  # somebody has changed what the tag says
    if known is None:
        raise UnknownPicture(
            f"nothing is known of the prompt of picture {_shown(name)}; "
            "give the text a prompt tag, and illustrate that"
        )
    return known


def request_all(
    editor: MarkEditor, place: TagPlace, *, only_missing: bool = False
) -> tuple[PictureRequest, ...]:
    """Return a request for each prompt tag of a text.

    Args:
        editor: the text; it stays as it is.
        place: whether the new pictures come beside those that are there or in place of them.
        only_missing: whether to skip the tags that have a picture. A picture counts if it is in the
            text; if another program has stripped it, since reconciling puts it back; or if it
            stands directly after the tag, also with the mark of another message's prompt. A tag
            whose failure left a mark is not skipped: the picture takes that mark's place.
    """
    tags = editor.tags
    illustrated: set[int | None] = set()
    failed: dict[str, str] = {}  # the id of the first failure's mark, by the prompt's id
    if only_missing:
        links = tags.registry.links
        prompts = {link.placement.prompt_id for link in links if link.state == "placed"}
        for mark in editor.marks:
            if mark.kind == "failure":
                of = editor.tag_of(mark.id) if mark.foreign else None
                failed.setdefault(mark.prompt_id if of is None else tags.owners[of], mark.id)
            elif mark.kind == "picture":
                prompts.add(mark.prompt_id)
                illustrated.add(editor.tag_before.get(mark.id))
        illustrated.update(map(tags.index, prompts))
    missing = {
        tags.owners[at]: tags.prompt(at) for at in range(len(tags.matches)) if at not in illustrated
    }
    return tuple(
        PictureRequest(prompt=prompt, place="retry", target=failed[name], once=True, owner=name)
        if name in failed
        else PictureRequest(prompt=prompt, place=place, target=name, once=only_missing, owner=name)
        for name, prompt in missing.items()
    )


def request_retries(editor: MarkEditor, failure: str | None = None) -> tuple[PictureRequest, ...]:
    """Return a request for each failure whose mark is in a text, or for one failure.

    What its tag says now is drawn, if the tag was changed since. Else it is what failed, and the
    retry rewrites the tag and replaces pictures if the failed request was to. Of a failure that the
    registry does not have, it is assumed that the failed task was to rewrite the tag if its prompt
    is a child of the tag's owner, or is newer.

    Args:
        editor: the text; it stays as it is. A mark is skipped if nothing is known of its prompt,
            and it does not stand directly after a tag.
        failure: the id of the only failure that is meant. If failures leave no marks here, that of
            one whose prompt has a tag.

    Raises:
        UnknownPicture: if the text has no such failure, or nothing is known of its prompt.
    """
    if failure is None:
        names = [name for name, marks in editor.present.items() if marks[0].kind == "failure"]
        known = _Known.of(editor)
        return tuple(request for name in names if (request := _retry(editor, name, known)))
    known = _Known.of(editor)
    marked = failure in editor.present or failure in known.failures
    unmarked = not editor.tags.notation.placeholders and editor.tag_of(failure) is not None
    request = _retry(editor, failure, known) if marked or unmarked else None
    if request is None:
        raise UnknownPicture(
            f"nothing is known of the prompt of failure {_shown(failure)}"
            if marked
            else f"the text holds no failure {_shown(failure)}; its picture may have come, "
            "or it may have been removed"
        )
    return (request,)


class _Known(NamedTuple):
    """What a registry knows of failures.

    Args:
        failures: by their ids.
        age: the order in which the prompts became known, by their ids.
    """

    failures: Mapping[str, MarkedFailure]
    age: Mapping[str, int]

    @classmethod
    def of(cls, editor: MarkEditor) -> "_Known":
        """Return what the registry of a text knows."""
        registry = editor.tags.registry
        age = {prompt.id: number for number, prompt in enumerate(registry.prompts)}
        return cls({failed.id: failed for failed in registry.failures}, age)


def _retry(editor: MarkEditor, name: str, known: _Known) -> PictureRequest | None:
    """Return the request that tries a failure again; `None` if nothing is known of its prompt."""
    tags = editor.tags
    at = editor.tag_of(name)
    prompt = tags.known.get(name.partition(":")[0])
    record = known.failures.get(name)
    owner = None if at is None else tags.owners[at]
    rewrites = False
    if at is not None and record is not None and prompt is not None:
        same = owner == record.owner
        prompt, rewrites = (prompt, record.rewrites) if same else (tags.prompt(at), False)
    elif at is not None:
        rewrites = prompt is not None and (
            owner == prompt.parent_id
            or known.age.get(owner or "", len(known.age)) < known.age[prompt.id]
        )
        if not rewrites:
            prompt = tags.prompt(at)
    if prompt is None:
        return None
    return PictureRequest(
        prompt=prompt,
        place="retry",
        target=name,
        rewrites=rewrites,
        once=True,
        owner=owner,
        replaces=None if record is None else record.replaces,
    )


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:79] + "…")


def _wanted_prompt(tags: PromptTags, known: Prompt, given: str | Prompt) -> Prompt:
    """Return the prompt to draw in place of the prompt of a picture.

    Raises:
        UnknownPrompt: if the registry does not have it.
        SettingsInvalid: if its text is empty or too long, or if it has another root.
    """
    if isinstance(given, Prompt):
        prompt = tags.known.get(given.id)
        if prompt is None:
            raise UnknownPrompt(f"the registry has no prompt {given.id!r:.80}; make it with refine")
        roots = [tags.registry.line(member.id)[:1] or (member,) for member in (known, prompt)]
        if roots[0][0].id != roots[1][0].id:
            raise SettingsInvalid(
                f"prompt: {prompt.text!r:.80} was not refined from that of the picture, "
                f"{known.text!r:.80}"
            )
        return prompt
    text, most = wellformed(given).strip(), tags.notation.max_tag
    if not 0 < len(text) <= most:
        raise SettingsInvalid(f"a prompt of {len(text):,} characters; give it 1 to {most:,}")
    return known if text == known.text else known.refined(text, source="manual")
