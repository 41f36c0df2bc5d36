"""Wishes for other pictures of a text that is there already."""

from limner.messages.errors import SettingsInvalid, UnknownPicture, UnknownPrompt
from limner.messages.picture_requests import AgainMode, Mode, PictureRequest
from limner.messages.prompts import Prompt
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.prompt_tags import Tags
from limner.messages.unicode import wellformed


def request_one(
    page: MarkEditor, target: str, place: Mode, prompt: str | Prompt | None = None
) -> PictureRequest:
    """Give the wish for one more picture in place of, or beside, one that is in a text.

    Args:
        page: the text.
        target: id of the picture's placement.
        place: where the new one goes.
        prompt: what is to be drawn; by default what was. A text, of 1 to `max_tag` characters,
            that is another makes a child of the picture's prompt. The tag is rewritten to it,
            unless another tag holds it.

    Raises:
        UnknownPicture: if that picture is not in the text, or nothing is known of its prompt and
            it stands directly after no tag.
        UnknownPrompt: if nothing is known of the prompt that is given, or the picture is to go
            after a tag that is not there any more.
        SettingsInvalid: if that is empty or too long, or has not one root with the picture's, or
            cannot be written in its tag.
    """
    marks = [one for one in page.there.get(target, ()) if one.kind == "picture"]
    shown = repr(target if len(target) <= 80 else target[:79] + "…")
    if not marks:
        raise UnknownPicture(f"the text holds no picture {shown}; name one that it holds")
    known = _prompt(page, target)
    if known is None:
        raise UnknownPicture(
            f"nothing is known of the prompt of picture {shown}; "
            "give the text a prompt tag, and illustrate that"
        )
    wished = known if prompt is None else _wished(page.tags, known, prompt)
    at = page.tags.index(known.id)  # what cannot be written is refused before anything is drawn
    if place == "append-after-prompt" and at is None:
        raise UnknownPrompt(
            f"the prompt of picture {shown} stands in the text no more; ask for another mode"
        )
    if prompt is not None and at is not None:
        page.tags.rewritten({at: wished})
    return PictureRequest(
        prompt=wished,
        place=place,
        target=known.id if place == "append-after-prompt" else target,
        rewrites=prompt is not None,
    )


def request_all(
    page: MarkEditor, mode: AgainMode, *, only_missing: bool = False
) -> tuple[PictureRequest, ...]:
    """Give a wish for each prompt tag of a text.

    Args:
        page: the text.
        mode: whether the new pictures come beside those that are there or in place of them.
        only_missing: whether to pass over the tags that have a picture: in the text, or stripped
            from it by another program, as reconciling puts that back; or directly after them, also
            one that another message's prompt has left there. The picture of one that a failure has
            left a mark of takes that mark's place.
    """
    tags = page.tags
    illustrated: set[int | None] = set()
    failed: dict[str, str] = {}  # the first mark of a failure, by its prompt
    if only_missing:
        links = tags.registry.links
        prompts = {one.placement.prompt_id for one in links if one.state == "placed"}
        for mark in page.marks:
            if mark.kind == "failure":
                failed.setdefault(mark.prompt_id, mark.id)
            elif mark.kind == "picture":
                prompts.add(mark.prompt_id)
                illustrated.add(page.after.get(mark.id))
        illustrated.update(map(tags.index, prompts))
    missing = {
        tags.holders[at]: tags.prompt(at)
        for at in range(len(tags.matches))
        if at not in illustrated
    }
    return tuple(
        PictureRequest(prompt=one, place="retry", target=failed[name], once=True)
        if name in failed
        else PictureRequest(prompt=one, place=mode, target=name, once=only_missing)
        for name, one in missing.items()
    )


def request_retries(page: MarkEditor) -> tuple[PictureRequest, ...]:
    """Give a wish for each picture that could not be made, as the marks in a text say.

    A prompt that was refined from what its tag says, or is known for less long than that, is one
    that the tag was to say: the tag is rewritten to it.

    Args:
        page: the text; a mark of whose prompt nothing is known, and that stands directly after no
            tag, is left.
    """
    age = {one.id: at for at, one in enumerate(page.tags.registry.prompts)}
    wishes = []
    for name, marks in page.there.items():
        prompt = _prompt(page, name) if marks[0].kind == "failure" else None
        if prompt is not None:
            at = page.tags.index(prompt.id)
            holder = prompt.id if at is None else page.tags.holders[at]
            rewrites = holder == prompt.parent_id or (
                age.get(holder, len(age)) < age.get(prompt.id, -1)
            )
            wishes.append(
                PictureRequest(
                    prompt=prompt, place="retry", target=name, rewrites=rewrites, once=True
                )
            )
    return tuple(wishes)


def _prompt(page: MarkEditor, name: str) -> Prompt | None:
    """Give the prompt of a mark by its id, as the registry knows it, else as its tag has it.

    The tag of a mark that names a prompt of another message, as after lines of a chat were taken
    out, is the one that it stands directly after.
    """
    prompt_id = name.partition(":")[0]
    if known := page.tags.known.get(prompt_id):
        return known
    at = page.tags.index(prompt_id)
    at = page.after.get(name) if at is None else at
    return None if at is None else page.tags.prompt(at)


def _wished(tags: Tags, known: Prompt, given: str | Prompt) -> Prompt:
    """Give what is to be drawn in place of the prompt of a picture."""
    if isinstance(given, Prompt):
        prompt = tags.known.get(given.id)
        if prompt is None:
            raise UnknownPrompt(f"the registry has no prompt {given.id!r:.80}; make it with refine")
        roots = [tags.registry.line(one.id)[:1] or (one,) for one in (known, prompt)]
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
