"""Requests for further pictures of a stored text: for one picture, for all tags, for failures."""

from limner.messages.errors import SettingsInvalid, UnknownPicture, UnknownPrompt
from limner.messages.picture_requests import AgainMode, Mode, PictureRequest
from limner.messages.prompts import Prompt
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.unicode import wellformed


def request_one(
    editor: MarkEditor, target: str, place: Mode, prompt: str | Prompt | None = None
) -> PictureRequest:
    """Return the request for one more picture, in place of a picture of a text or beside it.

    Args:
        editor: the text; it stays as it is.
        target: the id of the picture's placement.
        place: where the new picture goes.
        prompt: what to draw; by default, the picture's prompt. A text of 1 to `max_tag` characters
            that differs from it makes a child of that prompt. The tag is rewritten to the prompt,
            unless another tag belongs to it.

    Raises:
        UnknownPicture: if the picture is not in the text; or if nothing is known of its prompt,
            and it does not stand directly after a tag.
        UnknownPrompt: if the registry does not have the given prompt; or if the picture is to go
            after a tag that is no longer in the text.
        SettingsInvalid: if the given prompt is empty or too long, has another root than the
            picture's prompt, or cannot be written into its tag.
    """
    marks = [mark for mark in editor.present.get(target, ()) if mark.kind == "picture"]
    shown = repr(target if len(target) <= 80 else target[:79] + "…")
    if not marks:
        raise UnknownPicture(f"the text holds no picture {shown}; name one that it holds")
    known = _prompt(editor, target)
    if known is None:
        raise UnknownPicture(
            f"nothing is known of the prompt of picture {shown}; "
            "give the text a prompt tag, and illustrate that"
        )
    wanted = known if prompt is None else _wanted_prompt(editor.tags, known, prompt)
    at = editor.tags.index(known.id)  # what cannot be written is refused before anything is drawn
    if place == "append-after-prompt" and at is None:
        raise UnknownPrompt(
            f"the prompt of picture {shown} stands in the text no more; ask for another mode"
        )
    if prompt is not None and at is not None:
        editor.tags.rewritten({at: wanted})
    return PictureRequest(
        prompt=wanted,
        place=place,
        target=known.id if place == "append-after-prompt" else target,
        rewrites=prompt is not None,
    )


def request_all(
    editor: MarkEditor, mode: AgainMode, *, only_missing: bool = False
) -> tuple[PictureRequest, ...]:
    """Return a request for each prompt tag of a text.

    Args:
        editor: the text; it stays as it is.
        mode: whether the new pictures come beside those that are there or in place of them.
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
                failed.setdefault(mark.prompt_id, mark.id)
            elif mark.kind == "picture":
                prompts.add(mark.prompt_id)
                illustrated.add(editor.tag_before.get(mark.id))
        illustrated.update(map(tags.index, prompts))
    missing = {
        tags.owners[at]: tags.prompt(at) for at in range(len(tags.matches)) if at not in illustrated
    }
    return tuple(
        PictureRequest(prompt=prompt, place="retry", target=failed[name], once=True)
        if name in failed
        else PictureRequest(prompt=prompt, place=mode, target=name, once=only_missing)
        for name, prompt in missing.items()
    )


def request_retries(editor: MarkEditor) -> tuple[PictureRequest, ...]:
    """Return a request for each failure whose mark is in a text.

    If the prompt is a child of the tag's owner, or is newer, the failed task was to rewrite the tag
    to it: then the retry rewrites the tag.

    Args:
        editor: the text; it stays as it is. A mark is skipped if nothing is known of its prompt,
            and it does not stand directly after a tag.
    """
    age = {prompt.id: number for number, prompt in enumerate(editor.tags.registry.prompts)}
    requests = []
    for name, marks in editor.present.items():
        prompt = _prompt(editor, name) if marks[0].kind == "failure" else None
        if prompt is not None:
            at = editor.tags.index(prompt.id)
            owner = prompt.id if at is None else editor.tags.owners[at]
            rewrites = owner == prompt.parent_id or (
                age.get(owner, len(age)) < age.get(prompt.id, -1)
            )
            requests.append(
                PictureRequest(
                    prompt=prompt, place="retry", target=name, rewrites=rewrites, once=True
                )
            )
    return tuple(requests)


def _prompt(editor: MarkEditor, name: str) -> Prompt | None:
    """Return the prompt of a mark: as the registry has it, else as its tag has it.

    A mark may name a prompt of another message, as after lines of a chat were removed. Its tag is
    then the one that it stands directly after.

    Args:
        editor: the text.
        name: the mark's id.
    """
    prompt_id = name.partition(":")[0]
    if known := editor.tags.known.get(prompt_id):
        return known
    at = editor.tags.index(prompt_id)
    at = editor.tag_before.get(name) if at is None else at
    return None if at is None else editor.tags.prompt(at)


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
