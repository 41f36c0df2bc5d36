"""Changing the pictures of a text that is there already: what comes of the wishes for it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from limner.messages.errors import SettingsInvalid
from limner.messages.picture_requests import PictureRequest, RequestOutcome
from limner.messages.pictures import Failure
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.text.mark_editor import Composed, MarkEditor, Rank
from limner.messages.text.marks import Mark, failure_id
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import Tags

DEFAULT = Notation()


def revise(
    text: str,
    outcomes: Sequence[RequestOutcome],
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
    stays as it is. What is replaced is removed also if another program has stripped it from the
    text, so that it is not put back there.

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
    page = MarkEditor(tags)
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
        for mark in () if page.refuses(one.placement) else _leaving(page, one, notation):
            if mark.id not in brought:
                page.take(mark)
    composed = page.composed([one.placement for one in outcomes if one.placement is not None])
    if stripped := tuple(_stripped(page, outcomes, {one.id for one in composed.placed})):
        composed = composed.but(removed=(*composed.removed, *stripped))
    return composed if tags is old else composed.but(claims=tags.claims)


def remove(text: str, placement_id: str, *, notation: Notation = DEFAULT) -> str | None:
    """Give a text without one of its pictures, or what remains of it; `None` if neither is in it.

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
    page = MarkEditor(Tags(text, message_id="", notation=notation))
    marks = [*page.there.get(placement_id, ()), *page.remains.get(placement_id, ())]
    for mark in marks:
        page.take(mark)
    return page.composed(()).text if marks else None


def _rewritten(tags: Tags, outcomes: Sequence[RequestOutcome]) -> Tags:
    """Give the tags as they are after the wishes that rewrite them and gave a picture."""
    held = set(tags.holders)
    changes: dict[int, Prompt] = {}
    for one in outcomes:
        prompt, at = one.wish.prompt, _tag(tags, one.wish)
        if not one.wish.rewrites or one.placement is None or at is None:
            continue
        if prompt.id not in held or prompt.id == tags.holders[at]:
            changes[at] = prompt
    return _written(tags, changes) if changes else tags


def _written(tags: Tags, changes: Mapping[int, Prompt]) -> Tags:
    """Give the tags with other prompts in some; what cannot be written is found by halves."""
    try:
        return tags.rewritten(changes)
    except SettingsInvalid:
        if len(changes) > 1:
            half = len(changes) // 2
            tags = _written(tags, dict(islice(changes.items(), half)))
            tags = _written(tags, dict(islice(changes.items(), half, None)))
        return tags


def _stripped(
    page: MarkEditor, outcomes: Sequence[RequestOutcome], placed: Collection[str]
) -> Iterator[str]:
    """Give the ids of the pictures that are replaced, and had been stripped from the text.

    Args:
        page: the text as it was.
        outcomes: what became of the wishes.
        placed: the ids of the outcomes' pictures that are in the text now.
    """
    targets: set[str] = set()
    at_tags: set[int | None] = set()
    for one in outcomes:
        if one.placement is not None and one.placement.id in placed:
            if one.wish.place == "replace-image":
                targets.add(one.wish.target)
            elif one.wish.place == "replace":
                at_tags.add(_tag(page.tags, one.wish))
    at_tags.discard(None)
    for link in page.tags.registry.links if targets or at_tags else ():
        name = link.placement.id
        if link.state != "placed" or name in page.there or name in placed:
            continue
        if name in targets or page.tags.index(link.placement.prompt_id) in at_tags:
            yield name


def _failed(outcome: RequestOutcome, notation: Notation) -> Failure | None:
    """Give the failure that is to leave a mark."""
    failure = outcome.failure
    if failure is None or outcome.placement is not None or not notation.placeholders:
        return None
    return failure if failure.state == "failed" else None


def _leaving(page: MarkEditor, outcome: RequestOutcome, notation: Notation) -> Sequence[Mark]:
    """Give the marks in whose place an outcome comes."""
    wish = outcome.wish
    if outcome.placement is None:
        renewed = wish.place == "retry" and _failed(outcome, notation)
        return _target(page, wish) if renewed else ()
    if wish.place in {"replace-image", "retry"}:
        return [*_target(page, wish), *page.remains.get(wish.target, ())]
    at = _tag(page.tags, wish) if wish.place == "replace" else None
    return () if at is None else [one for one in page.runs[at] if one.kind != "failure"]


def _tag(tags: Tags, wish: PictureRequest) -> int | None:
    """Give the tag that a wish is for: that of its target's prompt, else that of its own."""
    at = tags.index(wish.target.partition(":")[0])
    return tags.index(wish.prompt.id) if at is None else at


def _target(page: MarkEditor, wish: PictureRequest) -> Sequence[Mark]:
    """Give the mark that a wish is for, as often as it is there."""
    kind = "failure" if wish.place == "retry" else "picture"
    return [one for one in page.there.get(wish.target, ()) if one.kind == kind]
