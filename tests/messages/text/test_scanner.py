"""The scanner, against an obvious and slow reading of its definition."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.messages.prompts import PromptMatch
from limner.messages.text.patterns import DEFAULT_PATTERNS, compile_patterns
from limner.messages.text.scanner import PromptScanner, find_prompts

MARK_ID = f"{'0a' * 10}:{'1b' * 16}"
HTML_MARK = f'<img data-limner="{MARK_ID}" alt="{{x}} {{{{y}}}}" src="p.png">'
MARKDOWN_MARK = f'![{{x}} \\[\\[z\\]\\]](p.png)<!--data-limner="{MARK_ID}"-->'
FAILURE_ID = f"{'0a' * 10}:{'2c' * 10}"
HTML_FAILURE = f'<span data-limner-failed="{FAILURE_ID}" title="{{x}}">⚠</span>'
MARKDOWN_FAILURE = f'[⚠ {{x}} \\[z\\]]<!--data-limner-failed="{FAILURE_ID}"-->'
BEFORE = r"""(?=\s)([^<>=]|=\s*("[^"<>]*"|'[^'<>]*')|=(?!\s*["']))*(?<=\s)"""
AFTER = r"""([^<>=]|=\s*("[^"<]*"|'[^'<]*')|=(?!\s*["']))*"""
MARKS = (
    rf'<img{BEFORE}data-limner="{MARK_ID}"{AFTER}>',
    rf'!\[([^\\\[\]<\n]|\\.)*\]\([^\s()]*\)<!--data-limner="{MARK_ID}"-->',
    rf'<span{BEFORE}data-limner-failed="{FAILURE_ID}"{AFTER}>[^<>]*</span>',
    rf'\[⚠([^\\\[\]<\n]|\\.)*\]<!--data-limner-failed="{FAILURE_ID}"-->',
    rf'<!--data-limner(="{MARK_ID}"|-failed="{FAILURE_ID}")-->',
)
OPENERS = ("<img", "![", "<span", "[⚠", "<!--data-limner")

# Each with the text that it begins with, by hand: the slow reading looks at no other start. Then
# tags of it, which the drawn texts are made of, whole and in parts.
PATTERNS = {
    DEFAULT_PATTERNS[0]: (
        "<!--img-prompt=",
        '<!--img-prompt="a"-->',
        '<!--img-prompt="\\"-->"-->',
        '<!--img-prompt="a" \n-->',
    ),
    DEFAULT_PATTERNS[1]: (
        "<img-prompt=",
        '<img-prompt="a \\" x">',
        '<img-prompt="\\\\">',
        '<img-prompt="a>" >',
    ),
    DEFAULT_PATTERNS[2]: (
        "<img_prompt=",
        '<img_prompt=" ">',
        '<img_prompt="a\n">',
        '<img_prompt="a"\t>',
    ),
    r"\{(.*?)\}": ("{", "{x}", "{}"),
    r"\{\{(.*?)\}\}": ("{{", "{{x}}", "{{}}}"),
    r"\{\{\{([^}]+)\}\}\}": ("{{{", "{{{a}}}"),
    r"\{(.*)\d\}": ("{", "{a1}", "{a1}1}"),
    r"\[\[([^|]*)\]\]": ("[[", "[[a]]", "[[|]]"),
    r"\[(a|ab|(?s:x.*)|\[(.+)\])\]": ("[", "[ab]", "[x\n]", "[[b]]", "[[a]]]"),
    r"<pic>((?:(?!</pic>).)*)</pic>": ("<pic>", "<pic>ab</pic>", "<pic>\n</pic>"),
    r"<pic>((?s:.)*)</pic>": ("<pic>", "<pic>ab</pic>", "<pic>\n</pic>"),
    r"<pic(?=>x|>a)>([^<]*)</pic>": ("<pic", "<pic>ab</pic>", "<pic>x</pic>", "<pic></pic>"),
    r"<<((?!x).*)\d>>": ("<<", "<<a1>>", "<<a>>1>>", "<<x1>>"),
    r"<(?!img)([^<>]*)>": ("<", "<a>", "<img>"),
    r"<img ([^>]*)>": ("<img ", "<img a>"),
    r"!\[(.*?)\]": ("![", "![a]", "![a](b)"),
    r"\{(?>a|ab|x)([^}]*+)\}": ("{", "{abx}", "{xx}"),
    r"\((?!.*x)(.*)\)": ("(", "(a)", "(a)x", "(x)"),
    r"\((?>a\)b|a)(c?)\)": ("(", "(a)", "(a)b", "(a)b)"),
    r"\((?:a\)b|a)?+(c?)\)": ("(", "(a)", "(a)b", "(c)"),
    r"\{([abx]+)\1\}": ("{", "{abab}", "{aba}"),
    r"\{([abx]*(?<=x))\}": ("{", "{abx}", "{ab}"),
    r'"(\w+|\s)*"': ('"', '"a"', '" "', '"a b"'),
}
COMPILED = {source: regex.compile(source) for source in (*MARKS, *PATTERNS)}
COMMON = (
    *(" ", "a", "x", "1", "\n", "é", "the sea", "<", ">", '"', "\\", '\\"', "!", "-", "|"),
    *("{", "}", "[", "]", "</", "![", "<img ", '">', '"-->'),
    *(HTML_MARK, HTML_MARK[:40], HTML_MARK[:-1], MARKDOWN_MARK, MARKDOWN_MARK[:-1]),
    *(HTML_FAILURE, HTML_FAILURE[:-1], MARKDOWN_FAILURE, MARKDOWN_FAILURE[:-1]),
)
pattern_sets = st.just(DEFAULT_PATTERNS) | st.lists(
    st.sampled_from(sorted(PATTERNS)), min_size=1, max_size=4, unique=True
).map(tuple)


@st.composite
def cases(draw):
    """A pattern set, and a text of its tags and parts of them, of marks and of prose."""
    sources = draw(pattern_sets)
    tags = st.sampled_from([tag for source in sources for tag in PATTERNS[source][1:]])
    parts = st.builds(lambda tag, a, b: tag[a:][:b], tags, st.integers(0, 6), st.integers(1, 15))
    pieces = st.one_of(tags, parts, st.sampled_from(COMMON))
    return "".join(draw(st.lists(pieces, min_size=1, max_size=6))), sources


bounds = st.sampled_from((2_000, 30, 12))


def slow(
    text: str, sources: tuple[str, ...], max_tag: int, *, ended: bool = True
) -> list[PromptMatch]:
    """The definition, word for word. With `ended=False`, what is certain so far."""
    found: list[PromptMatch] = []
    start = 0
    while start < len(text):
        end, prompt = None, ""
        for sort in (MARKS, sources):
            limit = 65_536 if sort is MARKS else max_tag
            rules = [COMPILED[one] for one in sort if may_begin(one, text, start)]
            ends = range(start + 1, min(len(text), start + limit) + 1) if rules else ()
            matches = ((stop, rule.fullmatch(text[start:stop])) for stop in ends for rule in rules)
            end, match = next((one for one in matches if one[1]), (None, None))
            if match:
                prompt = "" if sort is MARKS else read(match)
                break
            short = not ended and len(text) - start < limit
            if short and any(rule.fullmatch(text[start:], partial=True) for rule in rules):
                return found
        if prompt:
            ordinal = sum(one.text == prompt for one in found)
            tag = text[start:end]
            found.append(PromptMatch(text=prompt, tag=tag, start=start, end=end, ordinal=ordinal))
        start = end or start + 1
    return found


def may_begin(source: str, text: str, start: int) -> bool:
    opener = OPENERS[MARKS.index(source)] if source in MARKS else PATTERNS[source][0]
    return text.startswith(opener, start) or opener.startswith(text[start:])


def read(match: "regex.Match[str]") -> str:
    group = next((one for one in match.groups() if one is not None), "")
    out, escaped = "", False
    for at, char in enumerate(group):
        if not escaped and char == "\\" and group[at + 1 : at + 2] in ('"', "\\"):
            escaped = True
        else:
            out, escaped = out + char, False
    return out.strip()


def chunks(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


def fed(scanner: PromptScanner, pieces: list[str]) -> list[PromptMatch]:
    return [match for piece in pieces for match in scanner.feed(piece)] + scanner.close()


@settings(max_examples=8_000)
@given(cases(), bounds, st.lists(st.integers(0, 10_000), max_size=12))
def test_whole_and_chunks_find_what_the_slow_reading_finds(case, max_tag, cuts):
    text, sources = case
    expected = slow(text, sources, max_tag)
    assert find_prompts(text, sources, max_tag=max_tag) == expected
    assert fed(PromptScanner(sources, max_tag=max_tag), chunks(text, cuts)) == expected
    assert fed(PromptScanner(compile_patterns(sources), max_tag=max_tag), list(text)) == expected
    assert all(text[match.start : match.end] == match.tag for match in expected)


@settings(max_examples=2_000)
@given(cases(), bounds, st.none() | st.lists(st.integers(0, 10_000), max_size=6))
def test_a_prompt_is_given_by_the_chunk_that_makes_it_certain(case, max_tag, cuts):
    text, sources = case
    scanner = PromptScanner(sources, max_tag=max_tag)
    so_far, told = "", []
    for piece in text[:80] if cuts is None else chunks(text, cuts):
        so_far += piece
        told += scanner.feed(piece)
        assert told == slow(so_far, sources, max_tag, ended=False)


@pytest.mark.parametrize("source", [r"\{\{(.*)\}\}", r"\{\{((?!x).*)\}\}"])
def test_the_earliest_end_makes_the_tag_though_the_pattern_is_greedy(source):
    assert [match.text for match in find_prompts("{{cat}} {{dog}}", (source,))] == ["cat", "dog"]


@pytest.mark.parametrize("source", [r"\{\{(.*?)\}\}", r"\{\{((?!x).*)\}\}"])
@pytest.mark.parametrize(
    "pieces", [["{", "{", "cat", "}", "}"], ["{{cat}", "}"], ["{{ca", "t}", "}"]]
)
def test_a_closer_that_is_cut_in_two_closes_at_once(source, pieces):
    scanner = PromptScanner((source,))
    *before, last = [scanner.feed(piece) for piece in pieces]
    assert not any(before)
    assert [match.text for match in last] == ["cat"]


def test_a_closer_is_seen_though_it_was_looked_at_when_half_of_it_was_there():
    scanner = PromptScanner((r"<pic>((?:(?!</pic>).)*)</pic>", "a(b)/"))
    assert scanner.feed("<pic>cat</") == []
    assert [match.text for match in scanner.feed("pic>")] == ["cat"]


def test_a_tag_where_a_mark_may_stand_waits_until_it_cannot():
    scanner = PromptScanner((r"!\[(.*?)\]",))
    assert scanner.feed("![cat]") == []
    assert scanner.feed("(u)") == []
    assert [match.text for match in scanner.feed(" ")] == ["cat"]


def test_a_start_that_is_open_holds_back_what_comes_after_it():
    scanner = PromptScanner((r"\[\[([^|]*)\]\]", r"\{(.*?)\}"))
    assert scanner.feed("[[ {cat}") == []
    assert [match.text for match in scanner.feed("|")] == ["cat"]


def test_a_start_that_is_too_long_lets_go_of_what_comes_after_it():
    scanner = PromptScanner((r"\[\[([^|]*)\]\]", r"\{(.*?)\}"), max_tag=20)
    assert scanner.feed("[[" + "." * 10 + "{cat}" + "..") == []
    assert [match.text for match in scanner.feed(".")] == ["cat"]


def test_the_end_of_the_text_lets_go_of_what_was_held_back():
    scanner = PromptScanner((r"\[\[([^|]*)\]\]", r"\{(.*?)\}"))
    assert scanner.feed("[[ {cat} {dog}") == []
    assert [match.text for match in scanner.close()] == ["cat", "dog"]


def test_a_tag_is_found_from_the_character_that_closes_it():
    scanner = PromptScanner()
    tag = '<!--img-prompt="a \\"big\\" cat,\nasleep"-->'
    assert [scanner.feed(char) for char in tag[:-1]] == [[]] * (len(tag) - 1)
    (match,) = scanner.feed(tag[-1])
    assert (match.text, match.tag, match.start) == ('a "big" cat,\nasleep', tag, 0)


@pytest.mark.parametrize("end", ['" -->', '"\n-->', '"\t \r\n-->'])
def test_white_space_may_stand_before_the_end_of_a_tag(end):
    scanner, tag = PromptScanner(), f'<!--img-prompt="a lamp{end}'
    assert [scanner.feed(char) for char in tag[:-1]] == [[]] * (len(tag) - 1)
    (match,) = scanner.feed(tag[-1])
    assert (match.text, match.tag) == ("a lamp", tag)


def test_the_same_prompt_again_has_the_next_ordinal():
    text = '<img-prompt="cat"><img_prompt="dog"><!--img-prompt=" cat "-->'
    assert [(match.text, match.ordinal) for match in find_prompts(text)] == [
        ("cat", 0),
        ("dog", 0),
        ("cat", 1),
    ]


def test_an_empty_prompt_is_skipped_with_its_tag():
    assert find_prompts('<img-prompt="  ">', (*DEFAULT_PATTERNS, r'="(.*?)">')) == []


@pytest.mark.parametrize("mark", [HTML_MARK, MARKDOWN_MARK, HTML_FAILURE, MARKDOWN_FAILURE])
@pytest.mark.parametrize(
    ("source", "tag"),
    [
        (r"\{(.*?)\}", "{cat}"),
        (r"!\[(.*?)\]", "![cat]"),
        (r'<img (.*?)"', '<img cat"'),
        (r'"(.*?)"', '"cat"'),
    ],
)
def test_nothing_in_a_mark_is_a_prompt(mark, source, tag):
    (match,) = find_prompts(mark + tag + mark, (source,))
    assert (match.text, match.start) == ("cat", len(mark))


def test_a_mark_without_an_id_is_no_mark():
    for mark in (HTML_MARK, MARKDOWN_MARK):
        assert find_prompts(mark.replace("data-limner", "data-other"), (r"\{(.*?)\}",)) != []


@pytest.mark.parametrize("source", [r"\{((?:a|a)+)\d\}", r"\{((?:a|a)+)(?!b)\d\}"])
def test_a_pattern_that_runs_away_is_dropped_and_the_others_go_on(source):
    text = "{" + "a" * 60 + '} <img-prompt="cat">'
    scanner = PromptScanner((source, *DEFAULT_PATTERNS), timeout=0.01)
    assert [match.text for match in fed(scanner, list(text))] == ["cat"]
    assert scanner.dropped == (source,)


# Work is counted in characters: those that a pattern is given to look at, and those held when what
# is held is looked through.


@dataclass
class Counting:
    """A compiled pattern that counts the characters that it is given."""

    compiled: "regex.Pattern[str]"
    work: list[int] = field(default_factory=lambda: [0])
    tries: int = 0

    __hash__ = object.__hash__

    def match(self, text, start, stop, **options):
        self.work[0] += stop - start
        return self.compiled.match(text, start, stop, **options)

    def fullmatch(self, text, start=0, stop=None, **options):
        self.work[0] += (len(text) if stop is None else stop) - start
        self.tries += not options.get("partial")
        return self.compiled.fullmatch(text, start, stop, **options)


class CountingScanner(PromptScanner):
    """A scanner that counts the characters that it holds whenever it looks through them."""

    looked = 0

    def _scan(self, **options):
        self.looked += self._size
        return super()._scan(**options)


def test_each_closer_is_tried_once_at_a_start():
    (pattern,) = compile_patterns((r"\(\(((?!x).*)\d\)\)",))
    counting = Counting(pattern.compiled)
    scanner = PromptScanner((replace(pattern, compiled=counting),))
    assert not any(scanner.feed(piece) for piece in ["((", *["a))"] * 50])
    assert counting.tries == 50
    assert len(scanner.feed("1))")) == 1


def test_what_is_held_is_bounded_by_the_longest_tag():
    scanner = PromptScanner(max_tag=100)
    for piece in ['<!--img-prompt="', *["never closed "] * 1_000]:
        scanner.feed(piece)
        assert scanner._size <= 2 * (100 + len(piece))


MEGABYTE = 2**20
LONG = {
    "prose": "The sea went round the rock, and nobody came! ",
    "an unclosed tag": "all the way down ",
    "an unclosed tag with lines that look closed": 'a > b "> c }} ',
    "openers": '<!--img-prompt="',
    "openers and closers": '<!--img-prompt=""-->"-->',
    "<": "<",
    "{": "{",
    "{}": "{{}}",
    "an unclosed tag with escaped closers": '\\"-->',
    "tags that see ahead": "((a)) ((b;))))",
    "images": "![",
    "images that never end": "<img {{x}} ",
}


@pytest.mark.parametrize("name", LONG)
def test_the_work_a_chunk_does_not_grow_with_the_text(name):
    unit, size = LONG[name], 64
    text = '<!--img-prompt="' * ("unclosed" in name) + unit * (MEGABYTE // len(unit))
    counts = [0]
    patterns = tuple(
        replace(one, compiled=Counting(one.compiled, counts))
        for one in compile_patterns((*DEFAULT_PATTERNS, r"\{\{(.*?)\}\}", r"\(\(((?!x)[^;]*)\)\)"))
    )
    # the tag that is never closed is held to the end: there is no bound to help
    scanner = CountingScanner(
        patterns, max_tag=2 * MEGABYTE if name == "an unclosed tag" else 2_000
    )
    work = []
    for half in (text[: len(text) // 2], text[len(text) // 2 :]):
        counts[0] = scanner.looked = 0
        for at in range(0, len(half), size):
            scanner.feed(half[at : at + size])
        work.append(counts[0] + scanner.looked)
    assert work[1] <= 1.1 * work[0] + 100_000
    assert sum(work) <= 40 * len(text)
