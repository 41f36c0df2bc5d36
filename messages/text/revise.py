"""Apply the outcomes of picture requests to a stored text; remove a picture from it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from limner.messages.errors import SettingsInvalid
from limner.messages.picture_requests import PictureRequest, RequestOutcome
from limner.messages.pictures import Failure, MarkedFailure
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.text.mark_editor import Composed, MarkEditor, Rank
from limner.messages.text.marks import Mark
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags

DEFAULT = Notation()


def revise(
    text: str,
    outcomes: Sequence[RequestOutcome],
    registry: Registry,
    *,
    message_id: str,
    notation: Notation = DEFAULT,
) -> Composed:
    """Apply the outcomes of all picture requests of a session to a text.

    The rules are those of `Place`, in the order of the outcomes. A picture that one outcome inserts
    is not removed by another; one that is in the text already stays where it is. If the target of a
    request is no longer in the text, its picture goes after those beside the prompt's tag. Where a
    picture comes, the marks of earlier failures of the tag go, however it was requested. A tag
    that is rewritten for several prompts gets the last one; a tag into which its prompt cannot be
    written stays as it is. A replaced picture is recorded as removed also if another program had
    stripped it from the text, so that it is not put back.

    Args:
        text: the text, which UTF-8 can carry.
        outcomes: the outcomes. One without a picture changes nothing, except that it leaves the
            mark of a failure if `notation.placeholders` is set.
        registry: what is known of the message.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Returns:
        The text; as `placed` and `unplaced` the pictures of the outcomes that are in it and those
        that are not.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
        ValueError: if an id is not one that `limner.messages.ids` made.
    """
    registry = registry.add(*(outcome.request.prompt for outcome in outcomes))
    old = PromptTags(text, registry, message_id=message_id, notation=notation)
    tags = _rewritten(old, outcomes)
    editor = MarkEditor(tags)
    inserted = {outcome.placement.id for outcome in outcomes if outcome.placement is not None}
    inserted |= {failure.id for outcome in outcomes if (failure := _failed(outcome, notation))}
    marked = []
    for outcome in outcomes:
        request, at = outcome.request, _tag(tags, outcome.request)
        target = _target(editor, request)
        replaced = _replaced_by_retry(editor, request, at)
        if outcome.placement is not None:
            match request.place:
                case "append-after-prompt" if at is not None:
                    editor.put(tags.matches[at].end, Rank.FIRST, outcome.placement)
                case "append-after-image" if target:
                    editor.put(target[0].end, Rank.AFTER, outcome.placement)
                case "retry" if replaced:
                    editor.put(replaced[0].end, Rank.INSTEAD, outcome.placement)
                case "replace-image" | "retry" if target:
                    editor.put(target[0].end, Rank.INSTEAD, outcome.placement)
                case _ if at is not None:
                    editor.put_beside(at, outcome.placement)
        elif failure := _failed(outcome, notation):
            if target:
                editor.put(target[0].end, Rank.FAILED, failure)
            elif at is not None:
                editor.put_beside(at, failure)
            owner = request.owner or (request.prompt.id if at is None else tags.owners[at])
            marked.append(
                MarkedFailure(
                    failure=failure,
                    owner=owner,
                    rewrites=request.rewrites,
                    replaces=_replaces(request),
                )
            )
        if outcome.placement is not None:
            editor.answer(at, outcome.placement.id, but=inserted)
        if not editor.is_refused(outcome.placement):
            for mark in _replaced_marks(editor, outcome, notation):
                if mark.id not in inserted:
                    editor.remove(mark)
    composed = editor.composed(
        [outcome.placement for outcome in outcomes if outcome.placement is not None], marked
    )
    placed = {placement.id for placement in composed.placed}
    if stripped := tuple(_stripped(editor, outcomes, placed)):
        composed = composed.but(removed=(*composed.removed, *stripped))
    return composed if tags is old else composed.but(claims=tags.claims)


def remove(text: str, placement_id: str, *, notation: Notation = DEFAULT) -> str | None:
    """Return a text without one of its pictures; `None` if the picture is not in it.

    A leftover of the picture's mark is removed too. In Markdown, the line end before the picture is
    removed too, if it stands between the picture and the prompt's tag or a picture beside the tag,
    and no mark of ours follows on the line. So inserting a picture and removing it gives the same
    text again.

    Args:
        text: the text, which UTF-8 can carry.
        placement_id: the id of the picture's placement.
        notation: how prompts and pictures stand in the text.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    editor = MarkEditor(PromptTags(text, message_id="", notation=notation))
    marks = [*editor.present.get(placement_id, ()), *editor.leftovers.get(placement_id, ())]
    for mark in marks:
        editor.remove(mark)
    return editor.composed(()).text if marks else None


def _rewritten(tags: PromptTags, outcomes: Sequence[RequestOutcome]) -> PromptTags:
    """Return the tags after the requests that rewrite a tag and gave a picture."""
    owners = set(tags.owners)
    changes: dict[int, Prompt] = {}
    for outcome in outcomes:
        prompt, at = outcome.request.prompt, _tag(tags, outcome.request)
        if not outcome.request.rewrites or outcome.placement is None or at is None:
            continue
        if prompt.id not in owners or prompt.id == tags.owners[at]:
            changes[at] = prompt
    return _written(tags, changes) if changes else tags


def _written(tags: PromptTags, changes: Mapping[int, Prompt]) -> PromptTags:
    """Return the tags with other prompts in some; one that cannot be written is left out.

    It is found by writing the changes in halves.
    """
    try:
        return tags.rewritten(changes)
    except SettingsInvalid:
        if len(changes) > 1:
            half = len(changes) // 2
            tags = _written(tags, dict(islice(changes.items(), half)))
            tags = _written(tags, dict(islice(changes.items(), half, None)))
        return tags


def _stripped(
    editor: MarkEditor, outcomes: Sequence[RequestOutcome], placed: Collection[str]
) -> Iterator[str]:
    """Yield the ids of replaced pictures that another program had stripped from the text.

    Args:
        editor: the text as it was.
        outcomes: the outcomes of the requests.
        placed: the ids of the outcomes' pictures that are in the text now.
    """
    targets: set[str] = set()
    at_tags: set[int | None] = set()
    for outcome in outcomes:
        request = outcome.request
        if outcome.placement is not None and outcome.placement.id in placed:
            replaces = _replaces(request)
            if replaces is not None and ":" in replaces:
                targets.add(replaces)
            elif replaces is not None:
                at_tags.add(_tag(editor.tags, request))
    at_tags.discard(None)
    for link in editor.tags.registry.links if targets or at_tags else ():
        name = link.placement.id
        if link.state != "placed" or name in editor.present or name in placed:
            continue
        if name in targets or editor.tags.index(link.placement.prompt_id) in at_tags:
            yield name


def _failed(outcome: RequestOutcome, notation: Notation) -> Failure | None:
    """Return the failure of an outcome if it leaves a mark in the text."""
    failure = outcome.failure
    if failure is None or outcome.placement is not None or not notation.placeholders:
        return None
    return failure if failure.state == "failed" else None


def _replaced_marks(
    editor: MarkEditor, outcome: RequestOutcome, notation: Notation
) -> Sequence[Mark]:
    """Return the marks that an outcome replaces."""
    request = outcome.request
    if outcome.placement is None:
        renewed = request.place == "retry" and _failed(outcome, notation)
        return _target(editor, request) if renewed else ()
    if request.place in {"replace-image", "retry"}:
        at = _tag(editor.tags, request)
        return [
            *_target(editor, request),
            *editor.leftovers.get(request.target, ()),
            *_replaced_by_retry(editor, request, at),
            *editor.leftovers.get(request.replaces or "", ()),
        ]
    at = _tag(editor.tags, request) if request.place == "replace" else None
    return () if at is None else [mark for mark in editor.beside[at] if mark.kind != "failure"]


def _replaces(request: PictureRequest) -> str | None:
    """Return what a request's picture replaces, as in `MarkedFailure`."""
    match request.place:
        case "replace-image" | "replace":
            return request.target
        case "retry":
            return request.replaces
    return None


def _replaced_by_retry(
    editor: MarkEditor, request: PictureRequest, at: int | None
) -> Sequence[Mark]:
    """Return the pictures that a retry's picture replaces, since the first try was to."""
    if request.place != "retry" or request.replaces is None:
        return ()
    if ":" in request.replaces:
        marks: Sequence[Mark] = editor.present.get(request.replaces, ())
    else:
        marks = () if at is None else editor.beside[at]
    return [mark for mark in marks if mark.kind == "picture"]


def _tag(tags: PromptTags, request: PictureRequest) -> int | None:
    """Return the index of a request's tag: that of its target's prompt, else of its own prompt."""
    at = tags.index(request.target.partition(":")[0])
    return tags.index(request.prompt.id) if at is None else at


def _target(editor: MarkEditor, request: PictureRequest) -> Sequence[Mark]:
    """Return the marks of a request's target; several if the text has copies of one."""
    kind = "failure" if request.place == "retry" else "picture"
    return [mark for mark in editor.present.get(request.target, ()) if mark.kind == kind]
