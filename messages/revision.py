"""Changing the pictures of a text that is there already: what is wished, and what comes of it."""

from collections.abc import Sequence

from limner.messages.errors import SettingsInvalid, UnknownPicture
from limner.messages.marks import Mark, failure_id
from limner.messages.notation import Notation
from limner.messages.page import Composed, Page, Rank
from limner.messages.pictures import Failure, Prompt
from limner.messages.reconciling import standing
from limner.messages.registry import Registry
from limner.messages.tags import Tags
from limner.messages.wellformed import wellformed
from limner.messages.wishes import AgainMode, Mode, Outcome, Wish

DEFAULT = Notation()


def revise(
    text: str,
    outcomes: Sequence[Outcome],
    registry: Registry,
    *,
    message_id: str,
    notation: Notation = DEFAULT,
) -> Composed:
    """Apply to a text what became of the wishes for it, all in one go.

    The rules are those of `Place`, in the order given. A picture that one of the outcomes brings
    never leaves by another; one that is there already stays where it is. What is wished for a
    picture that is not there any more goes after those beside its prompt's tag. A tag that is
    rewritten for several prompts comes to say the last; one that its prompt cannot be written in
    stays as it is.

    Args:
        text: the text, which UTF-8 can carry.
        outcomes: what became of the wishes. One that gave no picture leaves all as it is, but for
            the mark of a failure if `notation.placeholders` asks for these.
        registry: what is known of the message.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Returns:
        The text, and of the outcomes' pictures those that stand in it and those that do not; one
        for each outcome.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
        ValueError: if an id is not one that `limner.messages.ids` made.
    """
    registry = registry.add(*(one.wish.prompt for one in outcomes))
    old = Tags(text, registry, message_id=message_id, notation=notation)
    tags = _rewritten(old, outcomes)
    page = Page(tags)
    brought = {one.placement.id for one in outcomes if one.placement is not None}
    brought |= {failure_id(left) for one in outcomes if (left := _failed(one, notation))}
    for one in outcomes:
        wish, at = one.wish, _tag(tags, one.wish)
        target = _target(page, wish)
        if one.placement is not None:
            match wish.place:
                case "append-after-prompt" if at is not None:
                    page.put(tags.matches[at].end, Rank.FIRST, one.placement)
                case "append-after-image" if target:
                    page.put(target[0].end, Rank.AFTER, one.placement)
                case "replace-image" | "retry" if target:
                    page.put(target[0].end, Rank.INSTEAD, one.placement)
                case _ if at is not None:
                    page.put_beside(at, one.placement)
        elif left := _failed(one, notation):
            if target:
                page.put(target[0].end, Rank.FAILED, left)
            elif at is not None:
                page.put_beside(at, left)
        for mark in _leaving(page, one, notation):
            if mark.id not in brought:
                page.take(mark)
    composed = page.composed([one.placement for one in outcomes if one.placement is not None])
    return composed if tags is old else composed.but(claims=tags.claims)


def remove(text: str, placement_id: str, *, notation: Notation = DEFAULT) -> str | None:
    """Give a text without one of its pictures, or `None` if that is not in it.

    In Markdown, the end of the line before it goes too if it stands between the picture and the
    prompt's tag, or a picture beside that, and nothing of ours follows on the line: so a picture
    that was put in and removed leaves the text as it was.

    Args:
        text: the text, which UTF-8 can carry.
        placement_id: the picture.
        notation: how prompts and pictures stand in the text.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    page = Page(Tags(text, message_id="", notation=notation))
    marks = page.there.get(placement_id, ())
    for mark in marks:
        page.take(mark)
    return page.composed(()).text if marks else None


def wish_for(
    text: str,
    registry: Registry,
    target: str,
    place: Mode,
    prompt: str | None = None,
    *,
    message_id: str,
    notation: Notation = DEFAULT,
) -> Wish:
    """Give the wish for one more picture in place of, or beside, one that is in a text.

    Args:
        text: the text, which UTF-8 can carry.
        registry: what is known of the message.
        target: id of the picture's placement.
        place: where the new one goes.
        prompt: what is to be drawn, of 1 to `max_tag` characters; by default what was. Another
            text makes a child of its prompt, to which the tag is rewritten.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Raises:
        UnknownPicture: if that picture is not in the text, or nothing is known of its prompt and
            it stands directly after no tag.
        SettingsInvalid: if the prompt is empty or too long, or cannot be written in its tag, or a
            pattern cannot be used.
    """
    page = Page(Tags(text, registry, message_id=message_id, notation=notation))
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
    wished, rewrites = known, False
    if prompt is not None:
        prompt = wellformed(prompt).strip()
        if not 0 < len(prompt) <= notation.max_tag:
            raise SettingsInvalid(
                f"a prompt of {len(prompt):,} characters; give it 1 to {notation.max_tag:,}"
            )
        if prompt != known.text:
            wished, rewrites = known.refined(prompt, source="manual"), True
            if (at := page.tags.index(known.id)) is not None:
                page.tags.rewritten({at: wished})  # refused before anything is drawn
    return Wish(
        prompt=wished,
        place=place,
        target=known.id if place == "append-after-prompt" else target,
        rewrites=rewrites,
    )


def wishes_again(
    text: str,
    registry: Registry,
    mode: AgainMode,
    *,
    message_id: str,
    notation: Notation = DEFAULT,
    only_missing: bool = False,
) -> tuple[Wish, ...]:
    """Give a wish for each prompt tag of a text.

    Args:
        text: the text, which UTF-8 can carry.
        registry: what is known of the message.
        mode: whether the new pictures come beside those that are there or in place of them.
        message_id: the message.
        notation: how prompts and pictures stand in the text.
        only_missing: whether to pass over the tags of which a picture stands in the text, or that
            have one directly after them, also one that another message's prompt has left there.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    tags = Tags(text, registry, message_id=message_id, notation=notation)
    illustrated: set[int | None] = set()
    if only_missing:
        placed = [one.placement for one in registry.links if one.state == "placed"]
        page = Page(tags)
        there = standing(page, placed)
        pictured = (at for name, at in page.after.items() if page.there[name][0].kind == "picture")
        illustrated = {*pictured, *(tags.index(one.partition(":")[0]) for one in there)}
    prompts = {
        tags.holders[at]: tags.prompt(at)
        for at in range(len(tags.matches))
        if at not in illustrated
    }
    return tuple(Wish(prompt=one, place=mode, target=name) for name, one in prompts.items())


def wishes_retry(
    text: str,
    registry: Registry,
    *,
    message_id: str,
    notation: Notation = DEFAULT,
) -> tuple[Wish, ...]:
    """Give a wish for each picture that could not be made, as the marks in a text say.

    Args:
        text: the text, which UTF-8 can carry.
        registry: what is known of the message; a mark of whose prompt nothing is known, and that
            stands directly after no tag, is left.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    page = Page(Tags(text, registry, message_id=message_id, notation=notation))
    wishes = []
    for name, marks in page.there.items():
        prompt = _prompt(page, name) if marks[0].kind == "failure" else None
        if prompt is not None:
            wishes.append(Wish(prompt=prompt, place="retry", target=name))
    return tuple(wishes)


def _prompt(page: Page, name: str) -> Prompt | None:
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


def _rewritten(tags: Tags, outcomes: Sequence[Outcome]) -> Tags:
    """Give the tags as they are after the wishes that rewrite them and gave a picture."""
    changes: dict[int, Prompt] = {}
    for one in outcomes:
        prompt = one.wish.prompt
        if one.wish.rewrites and one.placement is not None and prompt.parent_id is not None:
            at = tags.index(prompt.parent_id)
            if at is not None:
                changes[at] = prompt
    if not changes:
        return tags
    try:
        return tags.rewritten(changes)
    except SettingsInvalid:
        for at, prompt in changes.items():
            try:
                tags = tags.rewritten({at: prompt})
            except SettingsInvalid:
                continue
        return tags


def _failed(outcome: Outcome, notation: Notation) -> Failure | None:
    """Give the failure that is to leave a mark."""
    failure = outcome.failure
    if failure is None or outcome.placement is not None or not notation.placeholders:
        return None
    return failure if failure.state == "failed" else None


def _leaving(page: Page, outcome: Outcome, notation: Notation) -> Sequence[Mark]:
    """Give the marks in whose place an outcome comes."""
    wish = outcome.wish
    if outcome.placement is None:
        renewed = wish.place == "retry" and _failed(outcome, notation)
        return _target(page, wish) if renewed else ()
    if wish.place in {"replace-image", "retry"}:
        return _target(page, wish)
    at = _tag(page.tags, wish) if wish.place == "replace" else None
    return () if at is None else [one for one in page.runs[at] if one.kind == "picture"]


def _tag(tags: Tags, wish: Wish) -> int | None:
    """Give the tag that a wish is for: that of its target's prompt, else that of its own."""
    at = tags.index(wish.target.partition(":")[0])
    return tags.index(wish.prompt.id) if at is None else at


def _target(page: Page, wish: Wish) -> Sequence[Mark]:
    """Give the mark that a wish is for, as often as it is there."""
    kind = "failure" if wish.place == "retry" else "picture"
    return [one for one in page.there.get(wish.target, ()) if one.kind == kind]
