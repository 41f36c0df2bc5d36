"""Insert pictures into a text, each beside its prompt's tag."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from limner.messages.pictures import Failure, MarkedFailure, Placement
from limner.messages.prompts import PromptMatch
from limner.messages.registry import Registry
from limner.messages.text.image_attributes import checked_attributes
from limner.messages.text.mark_editor import NO_PROMPT, Composed, MarkEditor
from limner.messages.text.marks import mark
from limner.messages.text.notation import Markup, Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS, Pattern
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.regions import Ignored

__all__ = ["NO_PROMPT", "Composed", "compose", "mark"]


def compose(
    text: str,
    placements: Iterable[Placement],
    *,
    message_id: str,
    patterns: Sequence[str] | Sequence[Pattern] = DEFAULT_PATTERNS,
    markup: Markup = "html",
    max_tag: int = 2_000,
    timeout: float | None = None,
    budget: float | None = None,
    clock: Callable[[], float] | None = None,
    ignore: tuple[Ignored, ...] = (),
    matches: Sequence[PromptMatch] | None = None,
    failures: Iterable[Failure] = (),
    registry: Registry | None = None,
    image_attributes: Mapping[str, str] | None = None,
) -> Composed:
    """Insert pictures into a text, each directly after its prompt's tag, and change nothing else.

    Several pictures of one prompt stand in the order given, after those that stood there before;
    the marks of failures come after them. When a picture comes to a tag, the marks of earlier
    failures there go. A picture or failure whose mark is in the text is not inserted again, so
    composing twice gives the same as composing once.

    In Markdown a picture is an image where CommonMark shows one. Where the tag's line begins raw
    HTML or lies in it, the picture is an `<img>` tag, or, outside of quotes and lists, an image on
    a line of its own after that HTML. Within code no picture is shown, however it is written.

    Args:
        text: the text, which UTF-8 can carry.
        placements: the pictures and the prompts that they belong to.
        message_id: the message whose text it is; prompts are named by it.
        patterns: how prompts are found, as for `find_prompts`.
        markup: how a picture is written.
        max_tag: characters of one tag at most.
        timeout: seconds that one match of a pattern may take; by default there is no bound.
        budget: seconds that all matches may take together; by default there is no bound.
        clock: by which the budget is counted, as of `Notation`.
        ignore: what is not searched for prompts, as for `find_prompts`.
        matches: what `find_prompts` returns for this text, if that is known already.
        failures: each leaves a small mark beside its prompt's tag, if there is one.
        registry: which prompt owns which tag; by default, the prompt that the tag itself names.
        image_attributes: attributes of each `<img>`, as in `Settings`; with any, pictures are
            written as HTML, whatever the markup.

    Returns:
        The text, the placements that are in it, and those that are not, with the reason.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
        ValueError: if a placement's or failure's id is not one that `limner.messages.ids` made, or
            if an attribute is not allowed.
    """
    placements, failures = tuple(placements), tuple(failures)
    if not placements and not failures:
        return Composed.trusted(
            text=text,
            placed=(),
            unplaced=(),
            removed=(),
            claims=None,
            failures=(),
            answered=(),
            failed=(),
        )
    notation = Notation.trusted(
        patterns=tuple(
            pattern.source if isinstance(pattern, Pattern) else pattern for pattern in patterns
        ),
        markup=markup,
        image_attributes=checked_attributes(image_attributes or {}),
        max_tag=max_tag,
        timeout=timeout,
        budget=budget,
        clock=clock,
        ignore=ignore,
        placeholders=False,
    )
    tags = PromptTags(text, registry, message_id=message_id, notation=notation, matches=matches)
    editor = MarkEditor(tags)
    failed = {failure.id for failure in failures}
    for placement in placements:
        at = tags.index(placement.prompt_id)
        if at is not None:
            editor.put_beside(at, placement)
            editor.answer(at, placement.id, but=failed)
    marked = []
    for failure in failures:
        at = tags.index(failure.prompt_id)
        if at is not None:
            editor.put_beside(at, failure)
            marked.append(MarkedFailure(failure=failure, owner=tags.owners[at]))
    return editor.composed(placements, marked)
