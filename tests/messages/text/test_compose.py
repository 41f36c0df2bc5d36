"""Pictures stand beside their prompts, escaped, once; nothing else of the text changes."""

from html.parser import HTMLParser
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.messages.ids import picture_id, prompt_id, task_id
from limner.messages.pictures import Failure, Picture, Placement
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry
from limner.messages.text.compose import NO_PROMPT, compose, mark
from limner.messages.text.mark_editor import IN_A_TAG
from limner.messages.text.marks import failure_mark
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.reconcile import address
from limner.messages.text.revise import remove
from limner.messages.text.scanner import find_prompts
from limner.messages.unicode import wellformed

MARKUPS = ("html", "markdown")
SCRIPT = '"><script>alert(1)</script>'
HOSTILE = st.sampled_from(
    [
        SCRIPT,
        "](x) `b` [c]",
        "a\\",
        '"-->',
        "\n\n# x",
        "{{y}}",
        "&quot;",
        "-->",
        "é" * 400,
        "<img ",
        "![",
    ]
)
prompts = st.text(st.sampled_from('ab "<>\\[](){}`!&-\n\t'), max_size=12) | HOSTILE
urls = st.text(st.sampled_from("ab/.:?&=%\"<>()[]\\ `'\n\x00é\u2028"), max_size=12) | HOSTILE


def placement(
    prompt: str, *, ordinal: int = 0, picture: bytes = b"a", url: str = "p/a.png"
) -> Placement:
    name = prompt_id("m", prompt, ordinal)
    kept = Picture(id=picture_id(picture), url=url, media_type="image/png", width=1, height=1)
    return Placement(prompt_id=name, prompt=prompt, picture=kept, task_id=task_id("s", name, 0))


def tag(prompt: str, form: int = 0) -> str:
    escaped = prompt.replace("\\", "\\\\").replace('"', '\\"')
    return ('<!--img-prompt="{}"-->', '<img-prompt="{}">', '<img_prompt="{}">', "{{{{{}}}}}")[
        form
    ].format(escaped)


tags = st.builds(tag, prompts, st.integers(0, 3))
texts = st.lists(
    tags
    | st.sampled_from(["\n", "  ", "prose ", '<!--img-prompt="', "<img ", "![", '"-->', ">", "{{"]),
    max_size=8,
).map("".join)
PATTERNS = (*DEFAULT_PATTERNS, r"\{\{((?:[^{}\\]|\\.)*)\}\}")


@st.composite
def cases(draw):
    """A text, and pictures for some of its prompts and for prompts that it does not hold."""
    text = draw(texts)
    wanted = []
    for match in find_prompts(text, PATTERNS):
        for picture in draw(st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=2)):
            one = placement(match.text, ordinal=match.ordinal, picture=picture, url=draw(urls))
            wanted.append(one)
    if draw(st.booleans()):
        wanted.append(placement("not in the text"))
    return text, draw(st.permutations(wanted)), draw(st.sampled_from(MARKUPS))


def composed(text, wanted, markup="html"):
    return compose(text, wanted, message_id="m", patterns=PATTERNS, markup=markup)


def found(text):
    return [(match.text, match.ordinal, match.tag) for match in find_prompts(text, PATTERNS)]


@settings(max_examples=500)
@given(cases())
def test_composing_changes_nothing_but_for_the_pictures(case):
    text, wanted, markup = case
    without = composed(text, wanted, markup).text
    for one in wanted:
        for before, form in product(("\n", ""), {markup, "html"}):  # HTML within raw HTML
            without = without.replace(before + mark(one, form), "")
    original = text
    for one in wanted:
        assert one.id not in original
    assert without == original


@settings(max_examples=500)
@given(cases())
def test_composing_twice_is_composing_once(case):
    text, wanted, markup = case
    once = composed(text, wanted, markup)
    twice = composed(once.text, wanted, markup)
    assert twice.text == once.text
    assert {*map(str, twice.placed)} == {*map(str, once.placed)}
    assert twice.unplaced == once.unplaced


@settings(max_examples=500)
@given(cases())
def test_the_prompts_of_a_composed_text_are_those_of_the_text(case):
    text, wanted, markup = case
    assert found(composed(text, wanted, markup).text) == found(text)


@settings(max_examples=300)
@given(cases())
def test_every_picture_is_placed_in_the_order_of_the_text_or_named_with_the_reason(case):
    text, wanted, markup = case
    result = composed(text, wanted, markup)
    there = [result.text.index(f'data-limner="{placement}"') for placement in result.placed]
    assert there == sorted(there)
    assert sorted(
        map(str, [*result.placed, *(one.placement for one in result.unplaced)])
    ) == sorted(map(str, wanted))
    known = {Prompt.of("m", match).id for match in find_prompts(text, PATTERNS)}
    assert {one.placement.prompt_id in known for one in result.unplaced} <= {False}
    assert {one.reason for one in result.unplaced} <= {NO_PROMPT}


@given(cases())
def test_pictures_that_come_in_two_writes_stand_as_if_they_came_in_one(case):
    text, wanted, markup = case
    at_once = composed(text, wanted, markup).text
    for cut in range(len(wanted) + 1):
        first = composed(text, wanted[:cut], markup).text
        assert unbroken(composed(first, wanted, markup).text) == unbroken(at_once)


def unbroken(text: str) -> str:
    """Where lines end is left out: the first of two tags on a line may be the later to need it."""
    return text.replace("\n", "")


class Reader(HTMLParser):
    """Reads what a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def read(text: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader.tags


@given(prompts, urls)
def test_a_picture_in_html_is_one_tag_that_says_the_prompt(prompt, url):
    one = placement(prompt, url=url)
    ((name, attributes),) = read(mark(one, "html"))
    assert name == "img"
    assert attributes.keys() == {"data-limner", "alt", "src"}
    assert attributes["data-limner"] == one.id
    if not any(char in url for char in "\n\x00\r"):
        assert address(attributes["src"]) == address(url)


@given(prompts, urls)
def test_a_picture_in_markdown_holds_no_tag_and_ends_only_where_it_should(prompt, url):
    one = placement(prompt, url=url)
    written = mark(one, "markdown")
    assert read(written) == []
    assert written.count("<") == written.count(">") == 1
    assert "\n" not in written
    link = written[written.rindex("](") + 2 : written.index(")<!--")]
    assert not any(char.isspace() or char in "()<>\"'\\`\x00" for char in link)


@pytest.mark.parametrize("markup", MARKUPS)
def test_a_prompt_that_is_a_script_comes_out_escaped(markup):
    text = compose(tag(SCRIPT), [placement(SCRIPT, url=SCRIPT)], message_id="m", markup=markup).text
    inserted = text.removeprefix(tag(SCRIPT))
    assert len(inserted) < len(text)
    assert "<script" not in inserted
    assert "\u2039script\u203a" in inserted
    assert [name for name, _ in read(inserted)] == ["img"] * (markup == "html")


def test_the_words_of_a_mark_are_these():
    one = placement('a  "big"\n[cat]', url="p/a b.png")
    assert mark(one, "html") == (
        f'<img data-limner="{one.id}" alt="a ”big” [cat]" src="p/a b.png">'
    )
    assert mark(one, "markdown") == (
        rf'![a ”big” \[cat\]](p/a%20b.png)<!--data-limner="{one.id}"-->'
    )


def test_a_mark_that_a_pattern_reads_into_is_left_out_though_its_comment_stands_alone():
    text = f"[[{tag('a]')}"
    patterns = (r"\[\[([^|]*)\]\]", *DEFAULT_PATTERNS)
    (match,) = find_prompts(text, patterns)
    one = placement(match.text)
    result = compose(text, [one], message_id="m", patterns=patterns, markup="markdown")
    assert (result.text, result.unplaced[0].reason) == (text, IN_A_TAG)


def test_a_long_prompt_is_cut_with_an_ellipsis():
    ((_, attributes),) = read(mark(placement("é" * 301), "html"))
    assert attributes["alt"] == "é" * 299 + "…"
    ((_, attributes),) = read(mark(placement("é" * 300), "html"))
    assert attributes["alt"] == "é" * 300


def test_a_placement_that_no_hash_named_is_refused():
    one = placement("cat").model_copy(update={"prompt_id": '"><script>'})
    with pytest.raises(ValueError, match="not the id of a placement"):
        mark(one, "html")


def test_a_picture_stands_directly_after_its_tag_and_several_keep_their_order():
    first, second = placement("cat", picture=b"a"), placement("cat", picture=b"b")
    again = placement("cat", ordinal=1)
    text = f"One {tag('cat')} two {tag('cat')} three"
    result = composed(text, [again, second, first])
    assert result.text == (
        f"One {tag('cat')}{mark(second, 'html')}{mark(first, 'html')} two "
        f"{tag('cat')}{mark(again, 'html')} three"
    )
    assert result.placed == (second, first, again)


def test_two_tasks_that_gave_the_same_picture_are_both_placed_by_one_mark():
    one = placement("cat")
    twin = one.model_copy(update={"task_id": "another"})
    result = composed(tag("cat"), [one, twin])
    assert result.text == tag("cat") + mark(one, "html")
    assert result.placed == (one, twin)


@pytest.mark.parametrize(
    ("before", "own_line"),
    [("", True), ("  ", True), ("a\n\t", True), ("a ", False)],
)
def test_a_markdown_picture_leaves_a_line_that_is_raw_html(before, own_line):
    text, one = before + tag("cat") + " after", placement("cat")
    expected = before + tag("cat") + "\n" * own_line + mark(one, "markdown") + " after"
    assert composed(text, [one], "markdown").text == expected
    assert "\n<img" not in composed(text, [one], "html").text


@pytest.mark.parametrize(
    ("text", "end"),
    [("a\r\n{} b\n", "\r\n"), ("a\n{} b\r\n", "\n"), ("{} b\r", "\n")],
)
def test_the_line_of_a_picture_ends_as_the_first_of_the_text_does_and_goes_with_it(text, end):
    text = text.format(tag("cat"))
    first, second = placement("cat", picture=b"a"), placement("cat", picture=b"b")
    once = composed(text, [first], "markdown").text
    assert once == text.replace(tag("cat"), tag("cat") + end + mark(first, "markdown"))
    both = composed(once, [second], "markdown").text
    assert both == once.replace(" b", mark(second, "markdown") + " b")
    assert remove(both, first.id) == composed(text, [second], "markdown").text
    assert remove(once, first.id) == text


def test_the_second_tag_of_a_line_needs_no_line_of_its_own():
    text = f"{tag('cat')} {tag('dog')}"
    cat, dog = placement("cat"), placement("dog")
    assert composed(text, [cat, dog], "markdown").text == (
        f"{tag('cat')}\n{mark(cat, 'markdown')} {tag('dog')}{mark(dog, 'markdown')}"
    )
    assert composed(text, [dog], "markdown").text == f"{text}\n{mark(dog, 'markdown')}"


@given(
    st.text(st.characters(codec=None) | st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF))
)
def test_wellformed_text_is_what_utf_8_can_carry_and_stays_as_it_is(text):
    whole = wellformed(text)
    assert whole.encode().decode() == whole
    assert wellformed(whole) == whole
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert whole == text


def test_surrogates_are_joined_in_pairs_and_replaced_alone():
    assert wellformed("\ufeffa\ud83d\ude00b\ud83dc\ude00") == "\ufeffa\U0001f600b\ufffdc\ufffd"


def test_a_markdown_picture_that_comes_later_stands_beside_the_one_on_its_own_line():
    first, second = placement("cat", picture=b"a"), placement("cat", picture=b"b")
    text = composed(tag("cat"), [first], "markdown").text
    assert composed(text, [first, second], "markdown").text == text + mark(second, "markdown")


def failed(prompt: Prompt, task: int = 0) -> Failure:
    name = task_id("f", prompt.id, task)
    return Failure(
        task_id=name, prompt_id=prompt.id, prompt=prompt.text, state="failed", reason="no luck"
    )


@pytest.mark.parametrize("markup", MARKUPS)
def test_failures_stand_after_the_pictures_of_their_tag_one_mark_for_each(markup):
    text = f"One {tag('cat', 3)} two {tag('dog', 3)}"
    cat, dog = (Prompt.of("m", match) for match in find_prompts(text, PATTERNS))
    first, second, other = failed(cat), failed(cat, 1), failed(dog)
    options = {"message_id": "m", "patterns": PATTERNS, "markup": markup}
    once = compose(text, [], failures=[first, other, first], **options).text
    one = placement("cat")
    twice = compose(once, [one], failures=[second, first, other], **options)
    expected = "".join(
        [mark(one, markup), failure_mark(first, markup), failure_mark(second, markup)]
    )
    assert twice.text == f"One {tag('cat', 3)}{expected} two {tag('dog', 3)}" + failure_mark(
        other, markup
    )
    assert twice.placed == (one,)
    stranger = failed(cat.but(id="0" * 20))
    assert compose(text, [], failures=[stranger], **options).text == text


@pytest.mark.parametrize("markup", MARKUPS)
@pytest.mark.parametrize("said", ["cat", "a red cat"])
def test_the_marks_of_failures_go_when_a_picture_comes_to_their_tag(markup, said):
    text = f"One {tag('cat', 3)} two {tag('dog', 3)}"
    cat, dog = (Prompt.of("m", match) for match in find_prompts(text, PATTERNS))
    options = {"message_id": "m", "patterns": PATTERNS, "markup": markup}
    failures = [failed(cat), failed(cat, 1), failed(dog)]
    once = compose(text, [], failures=failures, **options).text
    once = once.replace(tag("cat", 3), tag(said, 3))  # the marks follow it
    one = placement(said)
    assert composed(once, [one], markup).text.count("data-limner-failed") == 1
    assert failure_mark(failed(dog), markup) in composed(once, [one], markup).text
    kept = compose(tag(said), [one], failures=[failed(cat.but(id=one.prompt_id))], **options).text
    assert kept.count("data-limner-failed") == 1  # one that came together with it


def test_a_picture_that_is_refused_leaves_the_marks_of_failures():
    patterns = (r"<pic ([^|]*)>", r"\{\{([^{}]*)\}\}")
    lost = failure_mark(failed(Prompt.of("m", find_prompts("{{cat}}", patterns)[0])), "markdown")
    text = f"<pic never closed {{{{cat}}}}{lost}"
    result = compose(text, [placement("cat")], message_id="m", patterns=patterns)
    assert result.text == text
    assert result.unplaced


def test_a_picture_stands_beside_the_tag_that_the_registry_says():
    text = f"{tag('cat')} {tag('cat')}"
    cat, _ = (Prompt.of("m", match) for match in find_prompts(text, PATTERNS))
    tiger = cat.refined("tiger", source="manual")
    claim = TagOwner(prompt_id=tiger.id, text="cat", ordinal=1)
    registry = Registry().add(cat, tiger).but(claims=(claim,))
    ones = [placement("cat"), placement("cat").but(prompt_id=tiger.id)]
    result = compose(text, ones, message_id="m", registry=registry)
    first, second = (mark(one, "html") for one in ones)
    assert result.text == f"{tag('cat')}{first} {tag('cat')}{second}"
    assert compose(text, ones, message_id="m").placed == (ones[0],)


def test_a_mark_that_a_pattern_would_read_on_over_is_left_out_and_named():
    patterns = (r"<pic ([^|]*)>", r"\{\{([^{}]*)\}\}")
    text = "<pic never closed {{cat}} and {{dog}}"
    cat, dog = placement("cat"), placement("dog")
    result = compose(text, [cat, dog], message_id="m", patterns=patterns)
    assert result.text == text
    assert [one.placement for one in result.unplaced] == [cat, dog]
    assert {one.reason for one in result.unplaced} == {IN_A_TAG}
    closed = f"<pic closed> {text[5:]}"
    assert compose(closed, [cat, dog], message_id="m", patterns=patterns).placed == (cat, dog)
