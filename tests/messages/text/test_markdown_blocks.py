"""A picture in a Markdown text is shown as a picture, wherever its tag stands."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.drawn_texts import failure, placement, put, scan, tag

from limner.messages.prompts import Prompt
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.text.clean import clean
from limner.messages.text.markdown_blocks import MarkdownBlocks
from limner.messages.text.marks import find_marks
from limner.messages.text.notation import Notation
from limner.messages.text.reconcile import reconcile
from limner.messages.text.revise import remove

MARKDOWN = Notation(markup="markdown")
COMMONMARK = MarkdownIt("commonmark", {"html": True}).enable("table")
T = "\ue000"  # where a tag goes

LINES = [T, f"{T} a", f"a {T} b {T}", "a", f"{T}{T}", f" {T}", f"   {T}", "- - -", "***", f"1) {T}"]
HTML_BLOCKS = [
    [f"<pre>{T}", f"a {T}", "", f"{T} </pre> {T}"],
    ["<!-- a", "", f"b --> {T}"],
    ["<?php a", "", f"?>{T}"],
    ["<!DOCTYPE a", f">{T}"],
    ["<![CDATA[ a", "", f"]]>{T}"],
    [f"<div>{T}", f"{T}", f"a {T}</div>"],
    ["<div>", f"*a* {T}"],
    ["</td>", T],
    ['<b class="a">', T, f"a {T}", "</b>"],
    [f'<b class="a">{T}</b>'],
    ["<b>", "", T],
]
BLOCKS = st.one_of(
    st.lists(st.sampled_from(LINES), min_size=1, max_size=3),
    st.sampled_from([[f"# a {T}"], [f"{T}", "==="], [f"a {T}", "---"], [f"## {T}"]]),
    st.sampled_from(HTML_BLOCKS),
    st.sampled_from([["```", "<div>", "", "```"], ["~~~~ a", "```", "- a", "~~~~"], ["    a", ""]]),
    st.just([f"| a | {T} |", "|---|---|", f"| {T} | b {T} |", f"| {T}"]),
)


def joined(blocks):
    lines = []
    for block, gap in blocks:
        lines += [*block, *[""] * gap]
    return lines


def quoted(lines, marker):
    return [marker + line if line else marker.strip() for line in lines]


def item(lines, marker):
    first, *rest = lines
    indent = " " * len(marker.expandtabs(4))
    return [marker + first, *(indent + line if line else "" for line in rest)]


def containing(inner):
    several = st.lists(st.tuples(inner, st.integers(0, 2)), min_size=1, max_size=3).map(joined)
    return st.one_of(
        st.builds(quoted, several, st.sampled_from(["> ", ">", " > ", ">\t"])),
        st.builds(item, several, st.sampled_from(["- ", "1. ", "12)  ", " *   ", "+\t"])),
        st.builds(lambda a, b: a + b, st.builds(item, several, st.just("- ")), inner),
    )


documents = st.lists(
    st.tuples(st.recursive(BLOCKS, containing, max_leaves=4), st.integers(0, 2)), max_size=4
).map(lambda blocks: "\n".join(joined(blocks)))


@st.composite
def illustrated(draw):
    """A Markdown text, its pictures, and the text with them."""
    pieces = draw(documents).split(T)
    forms = draw(st.lists(st.integers(0, 2), min_size=len(pieces), max_size=len(pieces)))
    text = pieces[0]
    for number, piece in enumerate(pieces[1:]):
        text += tag(f"cat {number}", forms[number]) + piece
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text, *pictures(text)


def pictures(text):
    prompts = [Prompt.of("m", match) for match in scan(text, MARKDOWN)]
    placed = [
        placement(prompt, bytes([33 + number % 90]), url=f"p/{number}.png")
        for number, prompt in enumerate(prompts)
    ]
    return placed, put(text, placed, notation=MARKDOWN).text


def unclosed_comment(html):
    """Return what a browser takes for a comment that goes to the end; empty if all are closed."""
    start = html.find("<!--")
    while start >= 0:
        end = html.find("-->", start)
        if end < 0:
            return html[start:]
        start = html.find("<!--", end)
    return ""


class Pictures(HTMLParser):
    """What a browser shows of a Markdown text.

    Args:
        text: the text.
    """

    def __init__(self, text):
        super().__init__()
        self.found = []
        html = COMMONMARK.render(text)
        self.unseen = unclosed_comment(html)
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs)["src"])

    def handle_comment(self, data):
        if not data.startswith("img-prompt="):
            self.unseen += data

    handle_decl = handle_pi = unknown_decl = handle_comment


def hidden(text):
    """Return the numbers of the tags in code, or in a comment that was never closed in its item."""
    tokens = (token for token in COMMONMARK.parse(text) if token.type in {"fence", "code_block"})
    code = "".join(token.content + token.info for token in tokens)
    return {int(number) for number in re.findall(r"cat (\d+)", code + Pictures(text).unseen)}


@settings(max_examples=200)
@given(illustrated())
def test_each_picture_of_a_markdown_text_is_shown(case):
    text, placed, whole = case
    out_of_sight = {placed[number].picture.url for number in hidden(text)}
    shown = [url for url in Pictures(whole).found if url not in out_of_sight]
    assert shown == [
        placement.picture.url for placement in placed if placement.picture.url not in out_of_sight
    ]


TABLE = """- | a | b |
  |---|---|
  | c | d
"""


@pytest.mark.parametrize(
    ("before", "place"),
    [
        (TABLE, "html"),
        (TABLE.replace("|---|---|", "|---|"), "text"),  # so it is a paragraph
        (TABLE.replace("|---|---|", "| e | f |"), "text"),
        (TABLE.replace("| a | b |", r"| a \| b |"), "text"),
        (TABLE.replace("  | c | d\n", ""), "html"),
        (TABLE.replace("- |", "- x\n  |"), "html"),
        (TABLE.replace("- |", "> - |").replace("\n ", "\n>  "), "html"),
    ],
)
def test_a_row_of_a_table_has_no_lazy_continuation(before, place):
    blocks = MarkdownBlocks()
    blocks.feed(f'{before}<b class="a">\nx')
    assert blocks.place() == place
    html = COMMONMARK.render(f'{before}<b class="a">\n![x](p.png)')
    assert ("<img" in html) == (place == "text")


@pytest.mark.parametrize(
    ("following", "own_line"),
    [
        ("it rained", True),
        ("", True),
        ("- it rained", True),
        ("1. it rained", True),
        ("12) it rained", False),
        ("    it rained", False),
        ('<b class="a">', False),
        ("<div>", True),
        ("# it rained", True),
    ],
)
def test_a_new_line_leaves_the_block_after_it_as_it_is(following, own_line):
    text = f'<!--img-prompt="cat 0"-->\n{following}\n'
    placed, whole = pictures(text)
    assert ("-->\n![" in whole) == own_line
    assert Pictures(whole).found == [placed[0].picture.url]


@settings(max_examples=100)
@given(illustrated(), st.data())
def test_what_is_written_in_a_markdown_text_is_read_back(case, data):
    text, placed, whole = case
    assert put(whole, placed, notation=MARKDOWN).text == whole
    assert found_ids(whole) == [placement.id for placement in placed]
    assert clean(whole, keep=("prompts",)) == clean(text, keep=("prompts",))
    registry = Registry().settle("m", RegistryUpdate(placed=tuple(placed)), "")
    gone = data.draw(st.lists(st.sampled_from(placed), unique=True)) if placed else []
    left = whole
    for picture in gone:
        left = remove(left, picture.id, notation=MARKDOWN)
    if len(gone) == len(placed):
        assert left == text
    result = reconcile(left, registry, message_id="m", notation=MARKDOWN)
    assert found_ids(result.text) == found_ids(whole)
    again = reconcile(result.text, registry, message_id="m", notation=MARKDOWN)
    assert (again.text, again.placed) == (result.text, ())


def found_ids(text):
    return [mark.id for mark in find_marks(text, scan(text, MARKDOWN))]


@settings(max_examples=100)
@given(illustrated())
def test_a_second_picture_stands_as_if_both_had_come_in_one_write(case):
    text, placed, whole = case
    more = [
        placement.but(picture=placement.picture.but(id="f" * 32, url=placement.picture.url + "?"))
        for placement in placed
    ]
    once = put(text, [*placed, *more], notation=MARKDOWN).text
    assert put(whole, more, notation=MARKDOWN).text == once


@pytest.mark.parametrize(
    ("before", "form", "written"),
    [
        ("", 0, "new line"),
        ("> ", 0, "html"),
        ("- ", 0, "html"),
        ("1. a\n\n   ", 0, "html"),
        ("> - > ", 0, "html"),
        ("<div>\n", 1, "html"),
        ("<div>\n\n", 1, "new line"),
        ("<div>\n\na ", 1, "markdown"),
        ("> <pre>\n>\n> a ", 1, "html"),
        ("> <pre>\n\na ", 1, "markdown"),
        ("<?php\n\n", 1, "html"),
        ("<!DOCTYPE\n\n", 1, "new line"),
        ("<![CDATA[\n\n", 1, "html"),
        ("a\n<b>\n", 1, "new line"),
        ("<b>\na ", 1, "html"),
        ("```\n<div>\n```\na ", 1, "markdown"),
        ("    <div>\na ", 1, "markdown"),
        ("> a\nb ", 1, "markdown"),
        ("# ", 0, "markdown"),
        ("|a|\n|-|\n| ", 0, "markdown"),
        ("    ", 0, "new line"),
    ],
)
def test_a_picture_is_html_where_its_tag_is_in_raw_html(before, form, written):
    _, whole = pictures(f"{before}{tag('cat', form)} after")
    after = whole.partition(tag("cat", form))[2]
    begun = {"html": "<img data-limner=", "markdown": "![cat](", "new line": "\n![cat]("}
    assert after.startswith(begun[written])
    assert Pictures(whole).found == ["p/0.png"]


def test_a_quote_that_goes_on_after_four_spaces_shows_its_picture():
    """In CommonMark that line is code; markdown-it takes it as a part of the quote."""
    _, whole = pictures(f"1.  > a\n   >\n    > {tag('cat')}")
    assert Pictures(whole).found == ["p/0.png"]


def test_a_tag_alone_on_its_line_begins_no_raw_html_that_hides_its_picture():
    notation = Notation(markup="markdown", patterns=(r'<pic of="([^"]*)">',))
    text = '<pic of="cat">\nand on'
    (match,) = scan(text, notation)
    whole = put(text, [placement(Prompt.of("m", match))], notation=notation).text
    assert Pictures(whole).found == ["p/a.png"]


def test_the_mark_of_a_failure_is_html_in_raw_html_too():
    text = f"> {tag('cat')}"
    (match,) = scan(text, MARKDOWN)
    whole = put(text, [], [failure(Prompt.of("m", match))], notation=MARKDOWN).text
    assert whole.startswith(f"{text}<span data-limner-failed=")


@pytest.mark.parametrize("said", ["a | b", "a `b", "a `b` | c"])
def test_no_symbol_of_a_prompt_hides_its_picture(said):
    for before, after in (("a ", ""), ("|a|b|\n|-|-|\n| ", " | b |"), ("", "\n` a")):
        bare = f"{before}{tag('cat', 1)}{after}"
        (match,) = scan(bare, MARKDOWN)
        one = placement(Prompt.of("m", match)).but(prompt=said)
        whole = put(bare, [one], notation=MARKDOWN).text
        assert Pictures(whole).found == ["p/a.png"], whole
        assert put(whole, [one], notation=MARKDOWN).text == whole


def test_a_long_line_of_tags_is_followed_in_proportion():
    text = "<div>" + tag("cat", 1) * 3_000
    _, whole = pictures(text)
    assert len(find_marks(whole)) == 3_000
