"""The marks that Limner puts in are found again whole, and nothing in one is anything else."""

import itertools

import pytest
import regex
from drawn_texts import cases, failure, nothing_overlaps, placement, prompts, put, urls, written
from hypothesis import given, settings

from limner.messages.ids import prompt_id
from limner.messages.marks import MARKS, MAX_ALT, MAX_MARK, failure_mark, find_marks, marked
from limner.messages.notation import Notation
from limner.messages.patterns import DEFAULT_PATTERNS
from limner.messages.pictures import Prompt
from limner.messages.scanner import PromptScanner, find_prompts

CAT = Prompt(id=prompt_id("m", "cat", 0), message_id="m", text="cat", ordinal=0)
MARKUPS = ("html", "markdown")


def test_the_words_of_a_failure_are_these():
    one = failure(CAT, reason='not  "so"\n[good]')
    name = f"{one.prompt_id}:{one.task_id}"
    assert failure_mark(one, "html") == (
        f'<span data-limner-failed="{name}" title="not &quot;so&quot; [good]">⚠</span>'
    )
    assert failure_mark(one, "markdown") == (
        rf'[⚠ not &quot;so&quot; \[good\]]<!--data-limner-failed="{name}"-->'
    )


@pytest.mark.parametrize("markup", MARKUPS)
def test_a_long_reason_is_cut(markup):
    assert len(failure_mark(failure(CAT, reason="é" * 10_000), markup)) < MAX_ALT + 120


def test_a_failure_that_no_hash_named_is_refused():
    with pytest.raises(ValueError, match="not the id of a failure"):
        failure_mark(failure(CAT).model_copy(update={"task_id": '"><script>'}), "html")


@settings(deadline=None)
@given(prompts, urls)
def test_each_mark_is_found_whole_with_its_name_and_kind(said, url):
    prompt = CAT.model_copy(update={"text": said})
    for markup in MARKUPS:
        notation = Notation(markup=markup)
        for one in (placement(prompt, url=url), failure(prompt, reason=said)):
            name, text = written(one, notation)
            (found,) = find_marks(f"a{text}b")
            assert (found.start, found.end, found.id) == (1, len(text) + 1, name)
            assert (found.markup, found.prompt_id) == (markup, prompt.id)
            assert (found.kind == "picture") == (marked(text) == {name})


@settings(max_examples=100, deadline=None)
@given(cases())
def test_no_mark_is_nested_in_a_tag_or_a_tag_in_a_mark(case):
    text, notation, placements, failures = case
    if not find_marks(text):
        result = put(text, placements, failures, notation=notation).text
        assert nothing_overlaps(result, notation)


def test_a_mark_within_a_tag_is_no_mark_of_the_text():
    inner = written(placement(CAT), Notation())[1]
    text = f"{{{{ {inner} }}}}"
    matches = find_prompts(text, (r"\{\{(.*?)\}\}",))
    assert len(matches) == 1
    assert len(find_marks(text)) == 1
    assert find_marks(text, matches) == []
    assert len(find_marks(text + inner, matches)) == 1


@pytest.mark.parametrize("markup", MARKUPS)
def test_nothing_in_the_mark_of_a_failure_is_a_prompt(markup):
    text = failure_mark(failure(CAT, reason="{cat} ⚠"), markup)
    assert find_prompts(text, (r"\{(.*?)\}", r"⚠(.*?)<", r"title=(.*?)>")) == []
    assert find_prompts(text.replace("data-limner-failed", "data-other"), (r"\{(.*?)\}",)) != []


PICTURE = placement(CAT).id
FAILED = f"{CAT.id}:{failure(CAT).task_id}"
OBVIOUS = (
    rf'<img(?: [^<>]*)? data-limner="{PICTURE}"[^<>]*>',
    rf'!\[(?:[^\\\[\]<\n]|\\.)*\]\([^\s()]*\)<!--data-limner="{PICTURE}"-->',
    rf'<span(?: [^<>]*)? data-limner-failed="{FAILED}"[^<>]*>[^<>]*</span>',
    rf'\[⚠(?:[^\\\[\]<\n]|\\.)*\]<!--data-limner-failed="{FAILED}"-->',
)
PIECES = (
    (" ", "a", ">", "<", "data-", f'data-limner="{PICTURE}"', f'data-limner="{PICTURE[:9]}'),
    ("a", "\\", "[", "](", "b)", " ", f'<!--data-limner="{PICTURE}"-->', "<!--data"),
    (" ", "a", ">", "<", "</span", f'data-limner-failed="{FAILED}"', "data-limner-"),
    ("a", "\\", "[", "]", "\n", f'<!--data-limner-failed="{FAILED}"-->', "<!--data"),
)


@pytest.mark.parametrize("kind", range(4))
def test_a_mark_may_be_begun_in_no_other_way_than_an_obvious_pattern_says(kind):
    quick, obvious = MARKS[kind].compiled, regex.compile(OBVIOUS[kind])
    for size in range(5):
        for pieces in itertools.product(PIECES[kind], repeat=size):
            text = MARKS[kind].opener + "".join(pieces)
            assert bool(quick.fullmatch(text)) == bool(obvious.fullmatch(text)), text
            begun = bool(obvious.fullmatch(text, partial=True))
            assert bool(quick.fullmatch(text, partial=True)) == begun, text


def test_of_two_names_in_one_tag_the_first_counts_as_in_a_browser():
    other = PICTURE.replace("a", "b")
    (found,) = find_marks(f'<img alt="" data-limner="{PICTURE}" data-limner="{other}">')
    assert found.id == PICTURE


@pytest.mark.parametrize("markup", MARKUPS)
def test_a_picture_that_is_a_data_uri_is_opaque_while_it_streams(markup):
    one = placement(CAT.model_copy(update={"text": "{x}"}), url="data:,{y}" + "A" * 100_000 + "{z}")
    text = written(one, Notation(markup=markup))[1] + "{cat}"
    scanner = PromptScanner((r"\{(.*?)\}",))
    found = [
        match for at in range(0, len(text), 999) for match in scanner.feed(text[at : at + 999])
    ]
    assert [one.text for one in found + scanner.close()] == ["cat"]


def test_a_picture_whose_mark_would_be_too_long_is_named():
    one = placement(CAT, url="data:," + "A" * MAX_MARK)
    result = put('<img-prompt="cat">', [one], notation=Notation())
    assert result.text == '<img-prompt="cat">'
    assert "longer than" in result.unplaced[0].reason


@pytest.mark.parametrize(
    "unit",
    [f'<img data-limner="{PICTURE}" ', f' data-limner="{PICTURE}"', "![", "![](", "[⚠", "<span x "],
)
def test_hostile_texts_have_no_mark(unit):
    opened = "<img " if unit.startswith(" ") else ""
    text = f"{opened}{unit * (50_000 // len(unit))} data-limner"
    assert find_marks(text) == []
    assert find_prompts(text, DEFAULT_PATTERNS) == []
