# ruff: noqa: RUF001  # quotes and dashes that look alike are what this is about
"""Near misses: what looks like a prompt tag and is none is named, with where it stands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.messages.errors import SettingsInvalid
from limner.messages.prompts import NEAR_MISSES, NearMiss
from limner.messages.settings import Settings
from limner.messages.text import near_misses
from limner.messages.text.near_misses import MAX_NEAR_MISSES, MAX_SHOWN, find_near_misses
from limner.messages.text.patterns import DEFAULT_PATTERNS, compile_patterns
from limner.messages.text.scanner import PromptScanner, find_prompts
from limner.messages.text.tolerant import TOLERANT_PATTERNS

TAG = '<!--img-prompt="a lamp"-->'
NEAR = {
    '<!-- img-prompt="a lamp" -->': "space",
    '<!--img-prompt= "a lamp"-->': "space",
    "<!--img-prompt='a lamp'-->": "quotes",
    "<!--img-prompt=“a lamp”-->": "quotes",
    "<!--img-prompt=„a lamp“-->": "quotes",
    "<!--img-prompt=«a lamp»-->": "quotes",
    "<!--img-prompt=`a lamp`-->": "quotes",
    '<!--img-prompt=\\"a lamp\\"-->': "quotes",
    "<!--img-prompt=a lamp-->": "quotes",
    "<img-prompt=a lamp/>": "quotes slash",
    '<!--IMG-Prompt="a lamp"-->': "case",
    '<img-prompt="a lamp"/>': "slash",
    '<img_prompt="a lamp" / >': "slash",
    '&lt;!--img-prompt="a lamp"--&gt;': "entities",
    '&lt;img-prompt="a lamp"&gt;': "entities",
    "&amp;lt;!--img-prompt=&amp;quot;a lamp&amp;quot;--&amp;gt;": "entities quotes",
    '<!--img_prompt="a lamp"-->': "name",
    '<!--image-prompt="a lamp"-->': "name",
    '<img prompt="a lamp">': "name",
    '<!--img-prompt="a lamp"—>': "end",
    '<!--img-prompt="a lamp"->': "end",
    '<!--img-prompt="a lamp">': "end",
    '<img-prompt="a lamp"-->': "end",
    '<!—img-prompt="a lamp"-->': "dashes",
    '<--img-prompt="a lamp"-->': "dashes",
    '<!--img-prompt:"a lamp"-->': "separator",
    "<img-prompt>a lamp</img-prompt>": "element",
    "<!– IMAGE_prompt : ‘a lamp’ –>": "dashes space name case separator quotes end",
}
QUOTED = {
    '<!--img-prompt="a sign "OPEN" above"-->': ('a sign "OPEN" above', "inner-quotes"),
    "<!--img-prompt='the cat's hat'-->": ("the cat's hat", "quotes"),
    "<!--img-prompt=‘the cat’s hat’-->": ("the cat’s hat", "quotes"),
}


def only(text: str, **options) -> NearMiss:
    (found,) = find_near_misses(text, **options)
    return found


@pytest.mark.parametrize("tag", NEAR)
def test_a_near_miss_is_told_by_what_it_differs_in(tag):
    found = only(f"One {tag} two")
    assert found.kinds == tuple(NEAR[tag].split())
    assert (found.text, found.start) == (tag, 4)


@pytest.mark.parametrize("tag", NEAR)
def test_the_tolerant_patterns_take_a_near_miss(tag):
    text = f"One {tag} two {TAG}"
    assert [match.text for match in find_prompts(text, TOLERANT_PATTERNS)] == ["a lamp", "a lamp"]
    assert only(tag).tolerated
    assert not find_near_misses(tag, find_prompts(tag, TOLERANT_PATTERNS), TOLERANT_PATTERNS)


@pytest.mark.parametrize("tag", QUOTED)
def test_quotes_within_a_prompt_are_understood(tag):
    prompt, kind = QUOTED[tag]
    assert [match.text for match in find_prompts(tag, TOLERANT_PATTERNS)] == [prompt]
    assert only(tag).kinds == (kind,)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('<!--img-prompt="a lamp', "unclosed"),
        ('<!--img-prompt="a lamp", wide-->', "unclosed"),
        ('<!--img-prompt=""-->', "empty"),
        ('<img-prompt=" ">', "empty"),
        (f'<!--img-prompt="{"a" * 2_000}"-->', "too-long"),
    ],
)
def test_what_no_pattern_can_take_is_told_as_well(text, kind):
    found = only(text, matches=find_prompts(text))
    assert found.kinds == (kind,)
    assert not found.tolerated


def test_a_near_miss_that_is_cut_does_not_take_the_next_tag():
    text = f'<!--img-prompt="a cat, {TAG}'
    assert [match.text for match in find_prompts(text, TOLERANT_PATTERNS)] == ["a lamp"]


@pytest.mark.parametrize(
    "text", ["", "prose", TAG, "an <img-prompt> tag", '<img src="a.png" alt="img-prompt">', "&lt;"]
)
def test_what_does_not_look_like_a_tag_is_no_near_miss(text):
    assert not find_near_misses(text, find_prompts(text))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_and_the_column_are_those_of_an_editor(end):
    text = f'one{end}{end}é 𝕏 <!-- img-prompt="a"-->{end}<IMG-prompt="b">'
    places = [(found.line, found.column) for found in find_near_misses(text)]
    assert places == [(3, 5), (4, 1)]


def test_near_misses_between_tags_are_told_too():
    text = f'{TAG} <img-prompt="a"/> {TAG} <img-prompt="b"/>'
    found = find_near_misses(text, find_prompts(text))
    assert [text[near.start :].split('"')[1] for near in found] == ["a", "b"]


def test_default_tags_are_near_where_other_patterns_found_nothing():
    own = (r"\{(.*?)\}",)
    assert only(TAG, patterns=own).kinds == ("pattern",)
    text = TAG + " {cat}"
    assert not find_near_misses(text, find_prompts(text, own), own)


def test_what_is_skipped_has_no_near_misses():
    text = "<IMG-prompt='a'> <IMG-prompt='b'>"
    assert only(text, skipped=[(0, 16)]).start == 17


def test_near_misses_are_bounded_in_number_and_length():
    text = "".join(f"<!-- img-prompt='{'a' * 300}' -->" for _ in range(100))
    found = find_near_misses(text)
    assert len(found) == MAX_NEAR_MISSES
    assert max(len(near.text) for near in found) == MAX_SHOWN


def test_each_kind_has_words_for_people():
    for kinds in (*(NEAR[tag].split() for tag in NEAR), ["empty"], ["too-long"], ["unclosed"]):
        assert all(kind in NEAR_MISSES for kind in kinds)
    assert (
        only("<!--Img-prompt='a'-->").reason == 'capital letters in its name; other quotes than "'
    )


UNITS = [
    "<img-prompt ",
    "<img-prompt>",
    '<img-prompt="',
    "<",
    "&amp;",
    "<!-- img-prompt='a' ",
    "  ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_the_places_that_are_looked_at_closely_are_bounded(unit, monkeypatch):
    looked = []
    find = near_misses._tolerated
    monkeypatch.setattr(near_misses, "_tolerated", lambda *a: looked.append(1) or find(*a))
    find_near_misses(unit * 20_000)
    assert len(looked) <= 1_000


PIECES = st.sampled_from(
    [*NEAR, *QUOTED, TAG, *('<!--img-prompt="', "-->", ">", '"', "'", "=", " ", "a", "\n", "&gt;")]
)
pieces = st.lists(
    st.builds(lambda tag, a, b: tag[a:][:b], PIECES, st.integers(0, 9), st.integers(1, 40))
    | PIECES,
    max_size=6,
).map("".join)


@settings(max_examples=600)
@given(pieces)
def test_no_near_miss_lies_in_a_tag_and_each_says_why(text):
    matches = find_prompts(text)
    ends = 0
    for near in find_near_misses(text, matches):
        assert near.kinds
        assert near.start >= ends
        assert not any(match.start <= near.start < match.end for match in matches)
        ends = near.start + 1
        if near.tolerated:
            tail = text[near.start :]
            assert any(
                pattern.compiled.match(tail) for pattern in compile_patterns(TOLERANT_PATTERNS)
            )


@settings(max_examples=600)
@given(pieces, st.lists(st.integers(1, 9), max_size=20))
def test_the_tolerant_patterns_find_the_same_in_any_chunks(text, sizes):
    scanner, found, at = PromptScanner(TOLERANT_PATTERNS), [], 0
    for size in [*sizes, len(text)]:
        found += scanner.feed(text[at : at + size])
        at += size
    assert found + scanner.close() == find_prompts(text, TOLERANT_PATTERNS)


@settings(max_examples=600)
@given(pieces)
def test_the_tolerant_patterns_read_default_tags_as_the_default_ones(text):
    tolerant = find_prompts(text, TOLERANT_PATTERNS)
    for match in find_prompts(text):
        alone = find_prompts(match.tag, TOLERANT_PATTERNS)
        assert [(same.text, same.tag) for same in alone] == [(match.text, match.tag)]
        assert any(found.start <= match.start < found.end for found in tolerant)


def test_settings_take_the_name_of_the_tolerant_patterns():
    own = r"\{(.*?)\}"
    assert Settings(patterns="tolerant").patterns == TOLERANT_PATTERNS
    assert Settings(patterns=["tolerant", own]).patterns == (*TOLERANT_PATTERNS, own)
    assert Settings(patterns=(own, "default")).patterns == (own, *DEFAULT_PATTERNS)
    with pytest.raises(SettingsInvalid, match="'default' or 'tolerant', not 'lenient'"):
        Settings(patterns="lenient")
