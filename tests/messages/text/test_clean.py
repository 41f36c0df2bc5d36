"""A clean text has no pictures, marks or tags, and is the same else."""

import pytest
from hypothesis import given, settings
from support.drawn_texts import failure, placement, put, scan, scenes, tag

from limner.messages.errors import SettingsInvalid
from limner.messages.prompts import Prompt
from limner.messages.text.clean import clean
from limner.messages.text.marks import find_marks
from limner.messages.text.notation import Notation

MARKUPS = ("html", "markdown")


def cat(text: str) -> Prompt:
    return Prompt.of("m", scan(text, Notation())[0])


@pytest.mark.parametrize("markup", MARKUPS)
@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a TAG b", "a  b"),
        ("a\nTAG\nb", "a\nb"),
        ("a\n\n  TAG \t\n\nb", "a\n\n\nb"),
        ("a\r\nTAG\r\nb", "a\r\nb"),
        ("TAG", ""),
        ("a\nTAG", "a\n"),
        ("TAGTAG\nTAG TAG\nb", "b"),
        ("a\n\n\nb", "a\n\n\nb"),
        ("<p>TAG</p>", "<p></p>"),
    ],
)
def test_a_line_that_held_nothing_else_goes_with_its_end(text, cleaned, markup):
    notation = Notation(markup=markup)
    text = text.replace("TAG", tag("cat", 1))
    assert clean(text, notation=notation) == cleaned
    found = [Prompt.of("m", match) for match in scan(text, notation)]
    composed = put(
        text,
        [placement(one, picture) for one in found for picture in (b"a", b"b")],
        [failure(one) for one in found],
        notation=notation,
    ).text
    assert clean(composed, notation=notation) == cleaned
    assert clean(composed, ("prompts",), notation=notation) == text
    assert clean(composed, ("prompts", "pictures", "failures"), notation=notation) == composed


@pytest.mark.parametrize("markup", MARKUPS)
def test_what_is_to_be_kept_is_kept(markup):
    notation = Notation(markup=markup)
    text = f"a {tag('cat', 1)} b"
    composed = put(text, [placement(cat(text))], [failure(cat(text))], notation=notation).text
    for kind in ("picture", "failure"):
        kept = clean(composed, (f"{kind}s",), notation=notation)
        (one,) = find_marks(kept)
        assert one.kind == kind
        assert kept == f"a {kept[one.start : one.end]} b"


def test_what_cannot_be_kept_is_refused():
    for keep in (("images",), "pictures"):
        with pytest.raises(SettingsInvalid, match="keep may name pictures, failures, prompts"):
            clean("", keep)


def test_what_was_parted_by_a_tag_is_cleaned_too():
    assert clean(f'a <img-prompt="ca{tag("dog", 0)}t"> b', notation=Notation()) == "a  b"


def test_the_leftover_of_a_stripped_picture_goes_too():
    one = placement(cat(tag("cat", 1)))
    for leftover in (f'<!--data-limner="{one.id}"-->', f'<img data-limner="{one.id}" alt="cat">'):
        assert clean(f"a {leftover} b") == "a  b"
        assert clean(f"a\n{tag('cat', 1)}\n{leftover}\nb", ("pictures",)) == "a\nb"


@settings(max_examples=150)
@given(scenes())
def test_cleaning_twice_is_cleaning_once_and_pictures_make_no_difference(case):
    bare, text, _, notation = case
    once = clean(text, notation=notation)
    assert not scan(once, notation)
    assert not find_marks(once)
    assert clean(once, notation=notation) == once
    if not find_marks(bare):
        assert once == clean(bare, notation=notation)
        assert clean(text, ("prompts",), notation=notation) == bare
