"""Put back the pictures that another program has stripped from a text."""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from functools import cached_property

from limner.messages.pictures import Unplaced
from limner.messages.registry import Registry
from limner.messages.text.entities import decoded
from limner.messages.text.images import (
    address,
    images_in_html,
    images_in_markdown,
    standing,
    standing_images,
)
from limner.messages.text.mark_editor import Composed, MarkEditor, Rank
from limner.messages.text.marks import Mark, names_failure
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.tag_owners import History

__all__ = ["address", "reconcile", "standing"]

NO_TEXT = "the text is gone"
ENCODED = "it stands in the text, but encoded; decode the text"
PROMPT_ENCODED = "its prompt stands in the text, but encoded; decode the text"
STRANGER = "its tag has a picture that is not known here, as if lines or files were moved"
SHOWS_ANOTHER = "the tag that it might belong to shows another picture of the same prompt's text"


def reconcile(
    text: str | None,
    registry: Registry,
    *,
    message_id: str,
    notation: Notation = Notation(),  # noqa: B008  # it is immutable
) -> Composed:
    """Put each picture that should be in a text, and is not, back beside its tag.

    A picture is in the text if its mark is, or an image with its address, as HTML or as Markdown,
    however often the address was encoded or decoded. A missing picture goes in place of a leftover
    of its mark, else after the older pictures beside its tag. Reconciling twice gives the same as
    reconciling once.

    A picture is not put back if its tag shows a picture of another prompt with the same text: of
    several equal tags one was removed, and it may be the tag of this picture. It is not put back
    either if a picture of an unknown prompt stands directly after its tag, since the registry may
    be of another text. It is not put back either if its mark is in the text in
    encoded form, since it would be there twice once the text is decoded.

    A picture that was kept and is in no text, such as one that came after its session's write,
    goes beside its tag too, if the tag shows no picture; of several the newest one. The marks of
    failures beside that tag are removed.

    Then the marks of failures that were stripped are put back, each after the picture that it stood
    after; if there was none, beside its tag, if that still shows no picture.

    Args:
        text: the text, which UTF-8 can carry; `None` if it is gone.
        registry: what is known of the message; its `placed` pictures should be in the text, its
            `kept` ones may be.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Returns:
        The text; as `placed` the pictures that were put back, as `unplaced` those that could not
        be, and why.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    expected = [link.placement for link in registry.links if link.state == "placed"]
    if text is None:
        lost = (Unplaced(placement=placement, reason=NO_TEXT) for placement in expected)
        return Composed(text="", unplaced=tuple(lost))
    editor = MarkEditor(PromptTags(text, registry, message_id=message_id, notation=notation))
    marked, images = standing_images(editor, expected)
    present = marked | images.keys()
    missing = []
    shown = _Shown(editor, images)
    strangers = {at for name, at in editor.tag_before.items() if _is_stranger(editor, name)}
    encoded = _Encoded(editor)
    put: dict[str, int] = {}
    ends: dict[int, tuple[int, Rank]] = {}  # where the older pictures of each tag end
    for placement in expected:
        at = editor.tags.index(placement.prompt_id)
        marks = editor.present.get(placement.id)
        if placement.id not in present:
            missing.append(placement)
            marks = editor.leftovers.get(placement.id)
            if marks:
                put[placement.id] = marks[0].end
                editor.put(marks[0].end, Rank.INSTEAD, placement)
            elif placement.id in encoded.images:
                editor.refuse(placement.id, ENCODED)
            elif at in strangers:
                editor.refuse(placement.id, STRANGER)
            elif at is not None and shown.another(at, placement.prompt_id):
                editor.refuse(placement.id, SHOWS_ANOTHER)
            elif at is None and encoded.has_tag_of(placement.prompt_id):
                editor.refuse(placement.id, PROMPT_ENCODED)
            elif at is not None:
                end, rank = ends.get(at, (editor.tags.matches[at].end, Rank.FIRST))
                put[placement.id] = end
                editor.put(end, rank, placement)
                shown.add(at, placement.prompt_id)
        if at is not None and marks and marks[0] in editor.beside[at]:
            ends[at] = max(ends.get(at, (0, Rank.FIRST)), (marks[0].end, Rank.AFTER))
    kept = {
        at: link.placement  # the newest one of each tag
        for link in registry.links
        if link.state == "kept"
        and link.placement.id not in present
        and (at := editor.tags.index(link.placement.prompt_id)) is not None
    }
    for at, placement in kept.items():
        if at in strangers or not shown.nothing(at) or placement.id in encoded.images:
            continue  # it waits for another place, or for a decoded text
        editor.answer(at, placement.id)
        editor.put_beside(at, placement)
        missing.append(placement)
        if not editor.is_refused(placement):
            shown.add(at, placement.prompt_id)
    _put_failures_back(editor, shown, strangers, put)
    return editor.composed(missing)


def _put_failures_back(
    editor: MarkEditor, shown: "_Shown", strangers: Collection[int], put: Mapping[str, int]
) -> None:
    """Put the marks of failures that another program has stripped back beside their tags.

    The mark of a failure goes after the picture that it stood after. If there was none, it goes
    beside its tag only if the tag still shows no picture.

    Args:
        editor: the text, into which all missing pictures are put already.
        shown: the pictures that each tag shows.
        strangers: the tags with a picture of which nothing is known.
        put: where pictures are put back, by their ids.
    """
    ends: dict[int, int] = {}  # where the older failures of each tag end
    for failed in editor.tags.registry.failures:
        failure = failed.failure
        at = editor.tags.index(failure.prompt_id)
        if marks := editor.present.get(failed.id):
            if at is not None and marks[0] in editor.beside[at]:
                ends[at] = max(ends.get(at, 0), marks[0].end)
        elif marks := editor.leftovers.get(failed.id):
            editor.put(marks[0].end, Rank.INSTEAD, failure)
        elif failed.id in editor.text or at is None or at in strangers:
            continue  # it stands there encoded; or its tag is gone
        elif failed.after is None and shown.nothing(at):
            editor.put(max(editor.tags.matches[at].end, ends.get(at, 0)), Rank.FAILED, failure)
        elif failed.after is not None and failed.after in put:
            editor.put(max(put[failed.after], ends.get(at, 0)), Rank.FAILED, failure)
        elif failed.after is not None and (marks := editor.present.get(failed.after)):
            editor.put(max(marks[0].end, ends.get(at, 0)), Rank.FAILED, failure)


def _is_stranger(editor: MarkEditor, name: str) -> bool:
    """Return whether a mark is a picture of a prompt of which nothing is known."""
    mark = editor.present[name][0]
    unknown = mark.prompt_id not in editor.tags.known and editor.tags.index(mark.prompt_id) is None
    return unknown and mark.kind == "picture"


class _Shown:
    """The prompts whose pictures stand directly after each tag; found when first needed.

    Args:
        editor: the text.
        images: where each image without a mark begins, by the id of its placement.
    """

    def __init__(self, editor: MarkEditor, images: Mapping[str, int]) -> None:
        self._editor = editor
        self._images = images

    def another(self, at: int, prompt: str) -> bool:
        """Return whether a tag shows a picture of the same text, but of another history.

        Args:
            at: the index of the tag.
            prompt: the id of the prompt whose pictures belong there.
        """
        return any(self._history.has_text_of(prompt, other) for other in self._prompts[at])

    def nothing(self, at: int) -> bool:
        """Return whether a tag shows no picture."""
        return not self._prompts[at]

    def add(self, at: int, prompt: str) -> None:
        """Record that a picture of a prompt is put beside a tag."""
        self._prompts[at].append(prompt)

    @cached_property
    def _history(self) -> History:
        return History(self._editor.tags.registry)

    @cached_property
    def _prompts(self) -> list[list[str]]:
        tags, text = self._editor.tags, self._editor.text
        images = sorted((start, name) for name, start in self._images.items())
        starts = [start for start, _ in images]
        shown = []
        for match, marks in zip(tags.matches, tags.marks_after, strict=True):
            prompts = [mark.prompt_id for mark in marks if _shows(mark)]
            end = marks[-1].end if marks else match.end
            first = bisect_left(starts, end)
            if first < len(images) and not text[end : starts[first]].strip():
                prompts.append(images[first][1].partition(":")[0])
            shown.append(prompts)
        return shown


def _shows(mark: Mark) -> bool:
    """Return whether a mark is a picture, or what is left of one that is to be put back."""
    left = mark.kind == "leftover" and not mark.foreign and not names_failure(mark.id)
    return mark.kind == "picture" or left


class _Encoded:
    """The images and tags that a text would have if it were decoded; found when first needed."""

    def __init__(self, editor: MarkEditor) -> None:
        self._editor = editor

    @cached_property
    def images(self) -> Collection[str]:
        """The ids of the placements that images name."""
        text = self._plain
        if text is None:
            return ()
        images = (*images_in_html(text), *images_in_markdown(text))
        return {image.name for image in images if image.name is not None}

    def has_tag_of(self, prompt: str) -> bool:
        """Return whether there is a tag that the pictures of a prompt belong beside."""
        return self._tags is not None and self._tags.index(prompt) is not None

    @cached_property
    def _tags(self) -> PromptTags | None:
        tags = self._editor.tags
        if self._plain is None:
            return None
        return PromptTags(
            self._plain, tags.registry, message_id=tags.message_id, notation=tags.notation
        )

    @cached_property
    def _plain(self) -> str | None:
        plain = decoded(self._editor.text)
        return None if plain == self._editor.text else plain
