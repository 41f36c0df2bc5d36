"""A tag stays with its prompt, whatever a host does to the text around it."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.drawn_texts import notations, placement, put, scan, scenes, tag
from support.instructions import grows_in_proportion

from limner.messages.ids import prompt_id
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.tag_tracking import track_tags

WORDS = ("a", "b", "a & b")
HTML = Notation()
words = st.sampled_from(WORDS)


def tags_of(text, registry, notation=HTML):
    return PromptTags(text, registry, message_id="m", notation=notation)


def illustrated(text, *pictured):
    """Insert a picture beside each of some tags, and return the text and its registry."""
    prompts = [Prompt.of("m", match) for match in scan(text, HTML)]
    composed = put(text, [placement(prompts[at]) for at in pictured], notation=HTML)
    links = RegistryUpdate(prompts=tuple(prompts), placed=composed.placed)
    return composed.text, Registry().settle("m", links, composed.text)


def refined(text, registry, at, says, *, shown):
    """Refine the prompt of a tag, with or without a picture of what it says then."""
    tags = tags_of(text, registry)
    child = tags.prompt(at).refined(says, source="manual")
    registry, tags = registry.add(child), tags.rewritten({at: child})
    registry = registry.settle("m", RegistryUpdate(claims=tags.claims), tags.text)
    composed = put(tags.text, [placement(child)] if shown else [], registry=registry, notation=HTML)
    return composed.text, registry.settle(
        "m", RegistryUpdate(placed=composed.placed), composed.text
    )


def edited(before, after, registry):
    """Return the tags of a text that a host has edited."""
    claims = track_tags(before, after, registry, message_id="m")
    known = registry.settle("m", RegistryUpdate(claims=claims), after)
    tags = tags_of(after, known)
    assert max(Counter(tags.owners).values(), default=1) == 1
    assert claims in (None, tags.claims)
    return tags


@st.composite
def histories(draw):
    """A text with pictures, no two pieces of which are the same, and what is known of it."""
    said = draw(st.lists(words, min_size=1, max_size=6))
    text = "".join(f"{tag(one)} {at}. " for at, one in enumerate(said))
    text, registry = illustrated(text, *draw(st.sets(st.integers(0, len(said) - 1))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(said) - 1))
        text, registry = refined(text, registry, at, draw(words), shown=draw(st.booleans()))
    return text, registry


def pieces_of(text):
    """Cut a text before each of its tags."""
    starts = [one.start for one in scan(text, HTML)]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


@st.composite
def moved(draw, pieces):
    """Some of the pieces in another order, with new tags between."""
    left = draw(st.lists(st.sampled_from(pieces), unique=True))
    for number, new in enumerate(draw(st.lists(words, max_size=3))):
        left.insert(draw(st.integers(0, len(left))), f"{tag(new)} new {number}. ")
    return left


@given(histories(), st.data(), st.booleans())
def test_each_piece_keeps_its_prompt_wherever_it_is_moved(known, data, reworded):
    before, registry = known
    pieces = pieces_of(before)
    holders = dict(zip(pieces, tags_of(before, registry).owners, strict=True))
    left = data.draw(moved(pieces))
    after = [one[: one.rindex(" ", 0, -1)] + " and so on. " if reworded else one for one in left]
    tags = edited(before, "It began. " + "".join(after), registry)
    for piece, holder in zip(left, tags.owners, strict=True):
        if "<img" in piece or not reworded:
            assert holder == holders.get(piece, holder)
    for name, at in MarkEditor(tags).tag_before.items():
        assert tags.index(name.partition(":")[0]) == at


@given(histories(), st.data())
def test_what_changes_nothing_about_the_tags_changes_no_claim(known, data):
    before, registry = known
    after = data.draw(st.text("x. ")).join(["", *pieces_of(before), ""])
    assert track_tags(before, after, registry, message_id="m") is None


@given(histories(), st.data())
def test_undoing_a_refinement_gives_each_tag_the_prompt_that_it_had(known, data):
    before, registry = known
    holders = tags_of(before, registry).owners
    at = data.draw(st.integers(0, len(holders) - 1))
    says = data.draw(words.filter(lambda word: word != scan(before, HTML)[at].text))
    after, registry = refined(before, registry, at, says, shown=data.draw(st.booleans()))
    assert edited(after, before, registry).owners == holders


@given(scenes(), st.data())
def test_whatever_becomes_of_a_text_no_prompt_holds_two_of_its_tags(scene, data):
    _, before, registry, notation = scene
    cuts = sorted(data.draw(st.lists(st.integers(0, len(before)), max_size=4)))
    parts = [before[one:end] for one, end in zip([0, *cuts], [*cuts, len(before)], strict=True)]
    after = "".join(data.draw(st.lists(st.sampled_from(parts), max_size=8)))
    names = [prompt.id for prompt in registry.prompts] + ["0" * 20]
    claim = st.builds(
        TagOwner, prompt_id=st.sampled_from(names), text=words, ordinal=st.integers(0, 2)
    )
    registry = registry.but(
        claims=tuple(data.draw(st.lists(claim, max_size=3))),
        prompts=tuple(
            one.but(parent_id=data.draw(st.none() | st.sampled_from(names)))
            for one in registry.prompts
        ),
    )
    claims = track_tags(before, after, registry, message_id="m", notation=notation)
    assert claims == track_tags(before, after, registry, message_id="m", notation=notation)
    if claims is not None:
        tags = tags_of(after, registry.but(claims=claims), notation)
        assert tags.claims == claims
        assert len(set(tags.owners)) == len(tags.owners)


def test_an_equal_tag_before_a_picture_s_own_takes_nothing_from_it():
    before, registry = illustrated(f"x {tag('a')} y", 0)
    tags = edited(before, f"{tag('a')} {before}", registry)
    assert tags.owners == (prompt_id("m", "a", 1), prompt_id("m", "a", 0))
    new = tags.prompt(0)
    assert (new.id, new.ordinal) == (prompt_id("m", "a", 1), 1)
    (own,) = scan(f"{tag('a')} {tag('a')}", HTML)[1:]
    assert new == Prompt.of("m", own)


def test_the_second_of_two_equal_tags_stays_itself_when_the_first_is_taken_out():
    before, registry = illustrated(f"{tag('a')} {tag('a')} y", 1)
    second = prompt_id("m", "a", 1)
    tags = edited(before, before.removeprefix(f"{tag('a')} "), registry)
    assert tags.owners == (second,)
    assert tags.claims == (TagOwner(prompt_id=second, text="a", ordinal=0),)


@pytest.mark.parametrize(("first", "last"), [("x", "y"), ("z", "y"), ("x", "z")])
def test_a_tag_that_was_not_touched_keeps_its_prompt_without_a_picture_too(first, last):
    before = f"x {tag('a')} 1 {tag('b')} 2 {tag('a')} y"
    registry = illustrated(before)[1]
    after = f"{first} {tag('b')} 2 {tag('a')} {last}"
    names = prompt_id("m", "b", 0), prompt_id("m", "a", 1)
    assert edited(before, after, registry).owners == names


def test_a_new_tag_is_no_part_of_the_history_of_another():
    before, registry = illustrated(f"x {tag('a')} y", 0)
    before, registry = refined(before, registry, 0, "b", shown=True)
    (child,) = tags_of(before, registry).owners
    tags = edited(before, f"{before} {tag('a')}", registry)
    assert tags.owners == (child, prompt_id("m", "a", 1))
    assert tags.index(prompt_id("m", "a", 0)) == 0  # whose picture stands there


def test_a_tag_is_still_itself_where_an_equal_one_has_come_and_another_gone():
    before = f"x {tag('a')} 1 {tag('a')} 2"
    registry = illustrated(before)[1]
    after = f"x {tag('a')} new {tag('a')} 1 "
    assert edited(before, after, registry).owners == tuple(
        prompt_id("m", "a", ordinal) for ordinal in (1, 0)
    )


def test_a_new_tag_has_the_name_of_its_own_place_if_that_is_free():
    before = f"x {tag('a')} y"
    claim = TagOwner(prompt_id=prompt_id("m", "a", 2), text="a", ordinal=0)
    registry = illustrated(before)[1].but(claims=(claim,))
    tags = edited(before, f"{before} {tag('a')} {tag('a')}", registry)
    assert tags.owners == tuple(prompt_id("m", "a", ordinal) for ordinal in (2, 1, 0))


def test_a_tag_says_again_what_its_prompt_s_history_said():
    first, registry = illustrated(f"x {tag('a')} y")
    text = first
    for says in ("b", "a & b", "b", "a"):
        text, registry = refined(text, registry, 0, says, shown=False)
    line = [prompt.id for prompt in registry.prompts]
    for says, at in [("a & b", 2), ("b", 3)]:
        assert edited(text, f"x {tag(says)} y", registry).owners == (line[at],)
    assert edited(text, f"x {tag('c')} y", registry).owners == (prompt_id("m", "c", 0),)


def test_of_two_that_said_it_the_one_that_was_refined_last_is_meant():
    text, registry = illustrated(f"x {tag('a')} y")
    (root,) = registry.prompts
    for says in ("b", "c"):
        text, registry = refined(text, registry, 0, says, shown=False)
    (_, meant, _) = registry.prompts
    other = root.refined("d", source="manual")
    registry = registry.add(other, other.refined("b", source="manual"))
    assert edited(text, f"x {tag('b')} y", registry).owners == (meant.id,)


def test_a_tag_that_comes_back_with_its_picture_is_held_by_the_prompt_of_that():
    text, registry = illustrated(f"{tag('a')} x", 0)
    (root,) = registry.prompts
    later, again = root.refined("b", source="manual"), root.refined("a", source="manual")
    registry = registry.add(later, again)
    assert edited("x", text, registry).owners == (root.id,)
    assert edited("x", text.replace(tag("a"), tag("b")), registry).owners == (later.id,)


def test_tags_that_were_moved_stay_themselves_when_their_pictures_are_taken_out():
    text, registry = illustrated(f"{tag('a')} 1 {tag('b')} 2", 0, 1)
    text, registry = refined(text, registry, 0, "c", shown=True)
    child, other = tags_of(text, registry).owners
    assert edited(text, f"{tag('b')} 3 {tag('c')} 4", registry).owners == (other, child)


def test_tags_that_were_moved_with_their_pictures_stay_with_whom_they_were_refined_to():
    text, registry = illustrated(f"{tag('a')} 1 {tag('a')} 2", 0, 1)
    for says in ("b", "a"):
        text, registry = refined(text, registry, 0, says, shown=False)
    tip, other = tags_of(text, registry).owners
    first, second = (piece[: piece.rindex(">") + 1] for piece in pieces_of(text))
    assert edited(text, f"{second} 3 {first} 4", registry).owners == (other, tip)


def test_what_is_the_same_at_the_end_is_the_same_tag():
    before = f"{tag('a')} 1 {tag('b')} 2 {tag('a')} 1 "
    registry = illustrated(before)[1]
    names = prompt_id("m", "b", 0), prompt_id("m", "a", 1)
    assert edited(before, f"{tag('b')} 2 {tag('a')} 1 ", registry).owners == names


def test_a_tag_whose_prompt_was_encoded_stays_with_it():
    before, registry = illustrated(f"x {tag('a & b')} y", 0)
    holder = prompt_id("m", "a & b", 0)
    assert edited(before, before.replace('"a & b"-->', '"a &amp; b"-->'), registry).owners == (
        holder,
    )
    bare = f"x {tag('a & b')} y"
    assert edited(bare, bare.replace("&", "&amp;"), registry).owners == (holder,)


def test_a_picture_that_was_copied_belongs_to_the_first_tag():
    before, registry = illustrated(f"x {tag('a')} y", 0)
    assert edited(before, before + before, registry).owners[0] == prompt_id("m", "a", 0)


def test_of_a_message_of_which_nothing_is_known_no_tag_is_looked_for(mocker):
    tags = mocker.spy(__import__("limner.messages.text.tag_tracking", fromlist=["x"]), "PromptTags")
    assert track_tags(tag("a"), tag("a") * 2, Registry(), message_id="m") is None
    known = illustrated(tag("a"))[1]
    assert track_tags(tag("a"), tag("a"), known, message_id="m") is None
    assert tags.call_count == 0


@pytest.mark.parametrize("different", [1, 9, 9_000])
def test_many_tags_are_carried_in_proportion(different):
    def change(number):
        tags = [tag(str(at % different)) for at in range(number)]
        registry = illustrated(" ".join(tags))[1]
        for after in ([tag("0"), *tags], tags[::-1]):
            track_tags(" ".join(tags), " ".join(after), registry, message_id="m")

    assert grows_in_proportion(change, 60)
    change(9_000)


@settings(max_examples=30)
@given(notations)
def test_tags_are_found_as_the_notation_says(notation):
    text = f"{tag('a', 3)} {tag('a', 3)}"
    prompts = [Prompt.of("m", match) for match in scan(text, notation)]
    registry = Registry().add(*prompts, Prompt.of("m", scan(tag("b"), HTML)[0]))
    claims = track_tags(text, tag("a", 3) + "!", registry, message_id="m", notation=notation)
    assert (claims is None) == (not prompts)
