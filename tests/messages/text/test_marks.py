"""The marks that Limner puts in are found again whole, and nothing in one is anything else."""

import html
import itertools
import re

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.drawn_texts import (
    cases,
    failure,
    nothing_overlaps,
    placement,
    prompts,
    put,
    urls,
    written,
)

from limner.messages.ids import prompt_id
from limner.messages.prompts import Prompt
from limner.messages.text.marks import MARKS, MAX_ALT, MAX_MARK, failure_mark, find_marks, marked
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.scanner import PromptScanner, find_prompts

CAT = Prompt(id=prompt_id("m", "cat", 0), message_id="m", text="cat", ordinal=0)
MARKUPS = ("html", "markdown")


def test_the_words_of_a_failure_are_these():
    one = failure(CAT, reason='not  "so"\n[good]')
    name = f"{one.prompt_id}:{one.task_id}"
    assert failure_mark(one, "html") == (
        f'<span data-limner-failed="{name}" title="not ”so” [good]">⚠</span>'
    )
    assert failure_mark(one, "markdown") == (
        rf'[⚠ not ”so” \[good\]]<!--data-limner-failed="{name}"-->'
    )


@pytest.mark.parametrize("markup", MARKUPS)
def test_a_long_reason_is_cut(markup):
    assert len(failure_mark(failure(CAT, reason="é" * 10_000), markup)) < MAX_ALT + 120


def test_a_failure_that_no_hash_named_is_refused():
    with pytest.raises(ValueError, match="not the id of a failure"):
        failure_mark(failure(CAT).model_copy(update={"task_id": '"><script>'}), "html")


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


@settings(max_examples=100)
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
BEFORE = r"""(?=\s)(?:[^<>=]|=\s*(?:"[^"<>]*"|'[^'<>]*')|=(?!\s*["']))*(?<=\s)"""
AFTER = r"""(?:[^<>=]|=\s*(?:"[^"<]*"|'[^'<]*')|=(?!\s*["']))*>"""
OBVIOUS = (
    rf"""<img{BEFORE}data-limner=(?:"{PICTURE}"|'{PICTURE}'){AFTER}""",
    rf'!\[(?:[^\\\[\]<\n]|\\.)*\]\([^\s()]*\)<!--data-limner="{PICTURE}"-->',
    rf"""<span{BEFORE}data-limner-failed=(?:"{FAILED}"|'{FAILED}'){AFTER}[^<>]*</span>""",
    rf'\[⚠(?:[^\\\[\]<\n]|\\.)*\]<!--data-limner-failed="{FAILED}"-->',
    rf'<!--data-limner(?:="{PICTURE}"|-failed="{FAILED}")-->',
)
PIECES = (
    (
        " ",
        "\n",
        '=">',
        ">",
        "<",
        "'",
        "data-",
        f'data-limner="{PICTURE}"',
        f"data-limner='{PICTURE}",
    ),
    ("a", "\\", "[", "](", "b)", " ", f'<!--data-limner="{PICTURE}"-->', "<!--data"),
    (" ", '"', " x= '", ">", "<", "</span", f'data-limner-failed="{FAILED}"', "data-limner-"),
    ("a", "\\", "[", "]", "\n", f'<!--data-limner-failed="{FAILED}"-->', "<!--data"),
    ("-failed", f'="{PICTURE}"', f'="{FAILED}"', "-->", "--", ">", " "),
)


@pytest.mark.parametrize("kind", range(5))
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
    [
        *(f'<img data-limner="{PICTURE}" ', f' data-limner="{PICTURE}"', "![", "![](", "[⚠"),
        *("<span x ", "<img =", "<img '", f"<img data-limner='{PICTURE}' x='>", "<!--data-limner="),
    ],
)
def test_hostile_texts_have_no_mark(unit):
    """What takes the square of their length would take hours."""
    opened = "<img " if unit.startswith(" ") else ""
    text = f"{opened}{unit * (200_000 // len(unit))} data-limner"
    assert find_marks(text) == []
    assert find_prompts(text, DEFAULT_PATTERNS) == []


@pytest.mark.parametrize("inside", ["=", "a=", " =", "a ", "a='' ", ">"])
def test_a_tag_that_goes_on_and_on_is_read_to_its_end(inside):
    """What takes the square of its length would take hours, or all memory."""
    name = f'<img data-limner="{PICTURE}"'
    for opened in ("<img data-limner", f"{name} ", f"{name} x='"):
        find_marks(opened + inside * (2_000_000 // len(inside)) + "'>")
        find_prompts(opened + inside * (2_000_000 // len(inside)) + "'>")


HOSTILE = st.text(st.sampled_from("ab \"'<>&#;=[](){}`\\-!/\n\t"), max_size=12) | st.lists(
    st.sampled_from(
        [
            *(
                "&lt;",
                "&gt",
                "&quot;",
                "&amp;",
                "&amp;lt;",
                "&amp;amp;gt;",
                "&#62;",
                "&#x3c",
                "&#10;",
            ),
            *(
                "&#0",
                "&#1;",
                "&NewLine;",
                "&Tab;",
                "&nbsp;",
                "&lsqb;",
                "&rpar;",
                "&bsol;",
                "&apos;",
            ),
            *("amp;", "lt;", "&", "<img ", "-->", '" x="', "' x='", "](u)", "\\", "é" * 299, "a"),
        ]
    ),
    max_size=5,
).map("".join)


@settings(max_examples=1_000)
@given(HOSTILE, HOSTILE, st.lists(st.sampled_from([html.escape, html.unescape]), max_size=7))
@example("a -> b", "p/a.png", [html.unescape])
@example("it's <b>", "p?a=1&lt=2", [html.unescape] * 2)
@example("&amp;amp;lt;", "p?&amp;#62;", [html.unescape] * 4)
def test_a_mark_is_one_whole_mark_however_often_it_was_encoded_and_decoded(said, url, changes):
    said = said if said.strip() else "cat"
    prompt = CAT.model_copy(update={"text": said})
    for markup in MARKUPS:
        notation = Notation(markup=markup)
        for one in (placement(prompt, url=url), failure(prompt, reason=said)):
            name, inner = written(one, notation)
            text, level = f"It said: {inner} and went on.", 0
            for change in changes:
                text = change(text)
                inner = change(inner)
                level = level + 1 if change is html.escape else max(0, level - 1)
            for whole in (text, f"It said: {inner} and went on."):
                marks = find_marks(whole)
                assert [found.id for found in marks] == [name] * (not level)
                left = [whole[: found.start] + whole[found.end :] for found in marks]
                assert left == ["It said:  and went on."] * (not level)


def rewritten(text, quote, space, order, end):
    """Write a tag anew, as tools do: with raw `>`, other quotes, other white space and order."""
    tag, values = re.match(r"<(\w+)", text)[1], re.findall(r'([\w-]+)="([^"]*)"', text)
    values = [*values, ("title", "a > b -> c")]
    values = [values[0], *(values[1:][::-1] if order else values[1:])]
    inside = [f"{name}={quote}{value}{quote}" for name, value in values]
    rest = text[text.index(">") + 1 :]
    return f"<{tag}{space}{space.join(inside)}{end}{rest}"


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("space", [" ", "\n", "\t ", "\r\n    "])
@pytest.mark.parametrize("order", [True, False])
@pytest.mark.parametrize("end", [">", "/>", " />", "\n>"])
def test_a_mark_that_another_program_has_written_anew_is_read(quote, space, order, end):
    for one in (placement(CAT, url="p/a.png?b=1&c=2"), failure(CAT, reason="no luck")):
        name, text = written(one, Notation())
        text = rewritten(text, quote, space, order, end)
        (found,) = find_marks(f"a > b {text} c > d")
        assert (found.id, found.start, found.end) == (name, 6, 6 + len(text))
        assert found.kind == ("failure" if "failed" in text else "picture")


@pytest.mark.parametrize(
    "said", [f"data-limner={PICTURE} src=x", f"src='x' data-limner='{PICTURE}'"]
)
def test_the_id_may_stand_without_quotes_or_last(said):
    text = f"<img alt='a \"b\" c' {said}>"
    assert [(mark.id, mark.end) for mark in find_marks(text)] == [(PICTURE, len(text))]


def test_an_id_within_a_value_is_none():
    assert find_marks(f"<img alt=' data-limner=\"{PICTURE}\"' src='x'>") == []


def test_a_mark_that_was_cut_takes_nothing_of_what_follows():
    whole = written(placement(CAT), Notation())[1]
    cut = whole[: whole.index("cat") + 2]
    for tag in ('<img-prompt="dog">', '<!--img-prompt="dog"-->'):
        text = f"{cut} and on {tag} > on"
        assert find_marks(text) == []
        assert [match.text for match in find_prompts(text)] == ["dog"]


def test_the_leftover_of_a_stripped_picture_is_told_from_one_that_is_there():
    comment = f'<!--data-limner="{PICTURE}"-->'
    failed = f'<!--data-limner-failed="{FAILED}"-->'
    bare = f'<img data-limner="{PICTURE}" alt="no src=here">'
    for leftover in (comment, failed, bare):
        for text in (leftover, f"(a){leftover}", f"![x](y) {leftover}", f"a\n{leftover}"):
            (one,) = (mark for mark in find_marks(text) if mark.start >= text.index(leftover))
            assert (one.kind, text[one.start : one.end]) == ("leftover", leftover)
            assert one.id in leftover
        assert marked(leftover) == set()
    assert [mark.kind for mark in find_marks(bare.replace(">", " title='a > b' src=x>"))] == [
        "picture"
    ]
    assert find_marks(f"![a <b>](u){comment}") == []
    assert [mark.kind for mark in find_marks(f"![a](u){comment}{comment}")] == [
        "picture",
        "leftover",
    ]
