"""Regions: with `ignore`, tags in code and in what a model thinks aloud are no prompts."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.drawn_texts import placement

from limner.messages.errors import SettingsInvalid
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.settings import Settings
from limner.messages.text.clean import clean
from limner.messages.text.compose import compose
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.near_misses import find_near_misses
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.reconcile import reconcile
from limner.messages.text.regenerate import request_all
from limner.messages.text.scanner import PromptScanner, find_ignored, find_prompts

BOTH = ("code", "think")


def tag(prompt: str) -> str:
    return f'<img-prompt="{prompt}">'


IN, OUT = tag("in"), tag("out")


def found(text: str, ignore=BOTH, **options) -> list[str]:
    return [match.text for match in find_prompts(text, ignore=ignore, **options)]


REGIONS = {
    "a fence": f"```\n{IN}\n```\n{OUT}",
    "a fence with a language": f"a\n```html\n{IN}\n```\n{OUT}",
    "a fence of tildes": f"~~~ `html`\n{IN}\n```\n{IN}\n~~~\n{OUT}",
    "a long fence": f"````\n```\n{IN}\n```\n{IN}\n`````  \n{OUT}",
    "a fence with a line that only looks closed": f"```\n``` x\n{IN}\n```\n{OUT}",
    "an indented fence": f"   ```\n{IN}\n  ```\n{OUT}",
    "a fence in a list": f"1. a\n   - ```sh\n     {IN}\n     ```\n{OUT}",
    "a fence in a quote": f"> ```\n> {IN}\n> ```\n> {OUT}",
    "a fence that ends with its quote": f"> ```\n> {IN}\n{OUT}",
    "a fence with other line ends": f"```\r\n{IN}\r\n```\r\n{OUT}",
    "two fences": f"```\n{IN}\n```\n```\n{IN}\n```\n{OUT}",
    "inline code": f"as `{IN}` or ``a ` {IN}``, {OUT}",
    "inline code of three": f"```{IN}``` {OUT}",
    "thinking": f"<think>\n{IN}\n</think>\n{OUT}",
    "thinking of other names": f"<THINKING >{IN} </b> </Thinking> {OUT}",
    "a fence in thinking": f"<think>\n```\n{IN}\n</think>\n{OUT}",
    "thinking in a fence": f"```\n<think>{IN}\n```\n{OUT}",
    "thinking in inline code": f"`<think>` {OUT}",
}
NONE = {
    "a backquote alone": f"a ` b {OUT}\n`",
    "backquotes of other numbers": f"`` {OUT} `",
    "an escaped backquote": f"\\` {OUT} `",
    "a fence within a line": f"a ```\n{OUT}\n```",
    "two tildes": f"~~\n{OUT}\n~~",
    "backquotes in a tag": '<img-prompt="`"> <img-prompt="out`"> `',
    "a fence in a tag": '<img-prompt="\n```\n"> <img-prompt="out\n```\n">',
    "another tag": f"<thinker> {OUT} <thin> </think>",
    "a backquote long before": f"`{'a' * 2_000} {OUT} `",
}


@pytest.mark.parametrize("name", REGIONS)
def test_tags_in_a_region_are_no_prompts(name):
    text = REGIONS[name]
    assert found(text) == ["out"]
    assert "in" in found(text, ()) or "in" not in text.split('"')
    assert [match.start for match in find_prompts(text, ignore=BOTH)] == [text.index(OUT)]


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_region_hides_nothing(name):
    assert found(NONE[name])[-1].startswith("out")


@pytest.mark.parametrize("begin", ["```\n", "~~~x\n", "<think>", "  ```\n", "- ~~~\n"])
def test_a_region_without_an_end_goes_to_the_end(begin):
    text = f"{OUT}\n{begin}{IN}\n{IN}"
    assert found(text) == ["out"]
    scanner = PromptScanner(ignore=BOTH)
    assert len(scanner.feed(text)) == 1
    assert scanner.ignored[-1][1] == len(text)


def test_each_kind_is_ignored_by_itself():
    text = f"`{tag('code')}` <think>{tag('think')}</think>"
    assert found(text, ()) == ["code", "think"]
    assert found(text, ("code",)) == ["think"]
    assert found(text, ("think",)) == ["code"]
    assert found(text, BOTH) == []


@pytest.mark.parametrize("text", [*REGIONS.values(), *NONE.values()])
def test_each_character_alone_gives_what_the_whole_gives(text):
    scanner = PromptScanner(ignore=BOTH)
    fed = [match for character in text for match in scanner.feed(character)]
    assert fed + scanner.close() == find_prompts(text, ignore=BOTH)
    assert scanner.ignored == find_ignored(text, ignore=BOTH)


@pytest.mark.parametrize("before", ["", "a\n", "```\nx\n```\n", "<think>x</think>", "`a` - `b`\n"])
def test_a_tag_after_a_region_is_found_at_once(before):
    scanner = PromptScanner(ignore=BOTH)
    assert not any(scanner.feed(character) for character in before + OUT[:-1])
    (match,) = scanner.feed(OUT[-1])
    assert match.start == len(before)


def test_a_backquote_holds_back_no_longer_than_its_line():
    scanner = PromptScanner(ignore=("code",))
    assert not scanner.feed(f"a ` b {OUT}")
    assert [match.text for match in scanner.feed("\n")] == ["out"]


PIECES = (
    *("`", "``", "```", "````", "~~~", "\n", "\n\n", "> ", "- ", "1. ", " ", "    ", "a", "\r\n"),
    *("\\", "<think>", "<THINKING >", "</think>", "<", "<thi", "</th", ">", "{{cat}}", "{{", "}}"),
    *('<img-prompt="x">', '<!--img-prompt="a ` b"-->', '<img-prompt="\n```\n">', '<img-prompt="'),
    *('">', "!", "![", "<img ", '<img data-limner="'),
)
drawn = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
kinds = st.sampled_from([("code",), ("think",), BOTH, BOTH[::-1]])
sources = st.sampled_from(
    [DEFAULT_PATTERNS, (*DEFAULT_PATTERNS, r"\{\{(.*?)\}\}", r"`(x[^`]*)`", r"~(a*)(?!b)~")]
)


@settings(max_examples=3_000)
@given(
    drawn, kinds, sources, st.sampled_from([2_000, 30]), st.lists(st.integers(0, 99), max_size=9)
)
def test_every_chunking_gives_what_the_whole_gives(text, ignore, patterns, max_tag, cuts):
    expected = find_prompts(text, patterns, max_tag=max_tag, ignore=ignore)
    regions = find_ignored(text, patterns, max_tag=max_tag, ignore=ignore)
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    for pieces in (list(text), [text[a:b] for a, b in pairwise(places)]):
        scanner = PromptScanner(patterns, max_tag=max_tag, ignore=ignore)
        fed = [match for piece in pieces for match in scanner.feed(piece)]
        assert fed + scanner.close() == expected
        assert scanner.ignored == regions
    spans = sorted([*regions, *((match.start, match.end) for match in expected)])
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


LINES = ("```", "````", "~~~", "  ```", "``` x", "~~~ `", "``` `", "", "a", "~~~~  ", OUT)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(LINES), max_size=9))
def test_fences_are_those_of_commonmark(lines):
    text = "".join(f"{line}\n" for line in lines)
    fenced = set()
    for token in MarkdownIt().parse(text):
        if token.type == "fence":
            fenced.update(range(*token.map))
    expected = [at for at, line in enumerate(lines) if line == OUT and at not in fenced]
    matches = find_prompts(text, ignore=("code",))
    assert [text.count("\n", 0, match.start) for match in matches] == expected


def test_the_work_a_chunk_does_not_grow_with_the_text():
    class Counting(PromptScanner):
        looked = 0

        def _scan(self, **options):
            self.looked += self._size
            return super()._scan(**options)

    for unit in ("```\n" + "a" * 60 + "\n", "<think>" + "a" * 60, "` ", " ", "> ", "</thin", "~~~"):
        text = unit * (100_000 // len(unit))
        scanner = Counting(ignore=BOTH, max_tag=200)
        for at in range(0, len(text), 8):
            scanner.feed(text[at : at + 8])
        assert scanner.looked <= 200 * len(text), unit


NOTATION = Notation(ignore=BOTH, markup="markdown")
STORED = f"```\n{IN}\n```\n<think>{IN}</think>\nIt is {OUT}, as `{IN}`."


def test_stored_texts_are_read_by_the_same_definition():
    (match,) = find_prompts(STORED, ignore=BOTH)
    picture = placement(Prompt.of("m", match))
    text = compose(STORED, [picture], message_id="m", markup="markdown", ignore=BOTH).text
    assert text.count("data-limner") == 1
    links = RegistryUpdate(prompts=(Prompt.of("m", match),), placed=(picture,))
    registry = Registry().settle("m", links, frozenset())
    assert reconcile(STORED, registry, message_id="m", notation=NOTATION).text == text
    editor = MarkEditor(PromptTags(text, registry, message_id="m", notation=NOTATION))
    assert not request_all(editor, "append", only_missing=True)
    assert len(request_all(editor, "append")) == 1
    assert clean(text, notation=NOTATION) == STORED.replace(OUT, "")
    rewritten = editor.tags.rewritten({0: Prompt.of("m", match).refined("new", source="manual")})
    assert rewritten.text.count(tag("new")) == 1


def test_what_is_ignored_has_no_near_misses():
    text = "`<IMG-prompt='a'>` <IMG-prompt='b'>"
    (near,) = find_near_misses(text, skipped=find_ignored(text, ignore=("code",)))
    assert near.start == 19


def test_settings_ignore_nothing_by_default():
    assert Settings().ignore == ()
    assert Settings(ignore=["code"]).notation.ignore == ("code",)
    with pytest.raises(SettingsInvalid, match=r"ignore\.0: .*'code' or 'think', not 'cod'"):
        Settings(ignore=("cod",))
