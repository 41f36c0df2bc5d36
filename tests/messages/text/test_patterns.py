"""Which patterns are taken, and what they begin and end with."""

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from limner.messages.errors import SettingsInvalid
from limner.messages.text.patterns import DEFAULT_PATTERNS, MAX_SOURCE, compile_patterns

# Parts of a pattern, each with a text that it matches.
LITERALS = {
    **{char: char for char in '{<>]}-" aé#,2'},
    **{"\\" + char: char for char in '{[(|)*+.^$\\"}'},
    r"\n": "\n",
    r"\t": "\t",
    "{}": "{}",
    "{x}": "{x}",
    "{2": "{2",
    "{2,": "{2,",
}
CLASSES = {
    "[]a]": "]",
    "[^]]": ")",
    "[[]": "[",
    r"[\]\\]": "]",
    "[a-c{]": "{",
    "[()|]": "(",
    "[^^$]": "x",
    r"[(\])]": ")",
    "[[:alpha:]]": "b",
    "[[:alpha:]>]": ">",
    "[^[:digit:]]": "]",
    r"\d": "2",
    r"\w": "a",
    r"\s": " ",
    r"\S": "<",
    ".": "}",
    r"\x41": "A",
    r"\u0042": "B",
    r"\101": "A",
    r"\055": "-",
    r"\p{Lu}": "A",
    r"\pL": "a",
    r"\N{DIGIT ONE}": "1",
}
REPEATS = {
    "*": (0, 3),
    "+": (1, 3),
    "?": (0, 1),
    "*?": (0, 3),
    "+?": (1, 3),
    "??": (0, 1),
    "?+": (0, 1),
    "{2}": (2, 2),
    "{1,2}": (1, 2),
    "{,2}": (0, 2),
    "{0}": (0, 0),
    "{1,}": (1, 3),
    "{,}": (0, 3),
}
GROUPS = ["(", "(?:", "(?i:", "(?s-i:", "(?=", "(?!", "(?>"]


@st.composite
def parts(draw, depth: int = 2) -> tuple[str, str]:
    """A part of a pattern, and a text that it may match."""
    kind = draw(st.integers(0, 9))
    if kind >= 8 and depth:
        source, text = draw(runs(depth - 1))
        group = draw(st.sampled_from(GROUPS))
        other = draw(st.sampled_from(["", "|x", "|"]))
        source, text = f"{group}{source}{other})", "" if group in ("(?=", "(?!") else text
    else:
        source, text = draw(st.sampled_from([*(LITERALS if kind <= 4 else CLASSES).items()]))
    if draw(st.integers(0, 3)) == 0:
        repeat, (least, most) = draw(st.sampled_from([*REPEATS.items()]))
        source, text = source + repeat, text[:-1] + text[-1:] * draw(st.integers(least, most))
    return source, text


def runs(depth: int = 2) -> st.SearchStrategy[tuple[str, str]]:
    """A few parts in a row."""
    return st.lists(parts(depth), max_size=4).map(
        lambda several: ("".join(one for one, _ in several), "".join(one for _, one in several))
    )


@settings(max_examples=1_500, suppress_health_check=list(HealthCheck))
@given(runs(), runs(), runs())
def test_every_match_begins_with_the_opener_and_ends_with_the_closer(left, inner, right):
    source = f"<{left[0]}({inner[0]}){right[0]}>"
    text = f"<{left[1]}{inner[1]}{right[1]}>"
    try:
        (pattern,) = compile_patterns((source,))
    except SettingsInvalid:
        reject()
    assume(pattern.compiled.fullmatch(text))
    assert text.startswith(pattern.opener or "nothing")
    assert text.endswith(pattern.closer or "nothing")


@pytest.mark.parametrize(
    ("source", "opener", "closer"),
    [
        (DEFAULT_PATTERNS[0], '<!--img-prompt="', "-->"),
        (DEFAULT_PATTERNS[1], '<img-prompt="', ">"),
        (DEFAULT_PATTERNS[2], '<img_prompt="', ">"),
        (r"\{\{img:(.*?)\}\}", "{{img:", "}}"),
        ("{{(.*?)}}", "{{", "}}"),
        ("<pic>((?:(?!</pic>).)*)</pic>", "<pic>", "</pic>"),
        ("<ab+(c)d{2}e>", "<a", "e>"),
        (r"<a[[:alpha:]]]b(c)[]x]\]>", "<a", "]>"),
        (r"\n\t<\x41b(c)\x41b>", "\n\t<", "b>"),
        (r"<(a)\1>", "<", ">"),
        (r"<(a)(b)c\p{Lu}>", "<", ">"),
        ("<(a|b)>", "<", ">"),
        ("a{}(b){}", "a{}", "{}"),
    ],
)
def test_the_longest_literal_at_either_end_is_found(source, opener, closer):
    (pattern,) = compile_patterns((source,))
    assert (pattern.opener, pattern.closer) == (opener, closer)


@pytest.mark.parametrize(
    ("source", "reason", "remedy"),
    [
        ("<a>", "has no group", "put parentheses around"),
        ("<(a", "is no regular expression", "correct it"),
        ("(a)>", "does not begin with a literal", "begin it with text"),
        (".(a)>", "does not begin with a literal", "begin it with text"),
        ("<*(a)>", "does not begin with a literal", "begin it with text"),
        ("<(a)", "does not end with a literal", "end it with text"),
        ("<(a)>?", "does not end with a literal", "end it with text"),
        ("<(a)>{1,2}", "does not end with a literal", "end it with text"),
        ("<(a)>|{(b)}", "has a | outside of any group", "give it as two patterns"),
        ("(?i)<(a)>", "has (?i)", "in (?i:...)"),
        ("<(?s)(.)>", "has (?s)", "in (?s:...)"),
        (r"<(a)\b>", r"asks with \b", "take it out"),
        ("^<(a)>", "asks with ^", "take it out"),
        ("<(a)>$", "asks with $", "take it out"),
        (r"<(a)\K>", r"asks with \K", "take it out"),
        ("<(a){e<=1}>", "matches roughly", r"write \{"),
        ("<(a)(?R)?>", "has (?R)", "take it out"),
        ("<(a)?(?(1)b|c)>", "has (?(1", "take it out"),
        ("<(?|(a)|(b))>", "has (?|", "take it out"),
        ("<(a)(?#)(*SKIP)>", "has (?#", "take it out"),
        ("<(?x: a )(b)>", "has (?x", "take it out"),
        ("/<(a)>/", "stands between slashes", "write '<(a)>' (or"),
        ("/<(a)>/g", "stands between slashes", "write '<(a)>' (or"),
        (" /<(a)>/dgy\n", "stands between slashes", "write '<(a)>' (or"),
        ("/^<(a)>$|x/IS", "stands between slashes", "'is' is for as (?is:...)"),
        (r"/<(a)\/b>/gim", "stands between slashes", "'im' is for as (?im:...)"),
        ("/<(" + "a" * 200 + ")>/v", "stands between slashes", "write '<(aaa"),
        ("", "has 0 characters", "1 to 1,000"),
        ("<(" + "a" * MAX_SOURCE + ")>", "has 1,004 characters", "1 to 1,000"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_by_name(source, reason, remedy):
    with pytest.raises(SettingsInvalid) as refused:
        compile_patterns((*DEFAULT_PATTERNS, source))
    said = str(refused.value)
    assert repr(source[:77])[1:-1] in said
    assert reason in said
    assert remedy in said
    assert "\n" not in said
    assert len(said) < 300


@pytest.mark.parametrize("source", [r"\/img (.*?)\/", "/img (.*?) end/ed", "/(a) b"])
def test_a_tag_may_begin_or_end_with_a_slash(source):
    (pattern,) = compile_patterns((source,))
    assert pattern.opener.startswith("/")


@pytest.mark.parametrize(
    "source", ["<(?!a)(b)>", "<(?<=<)(b)>", "<(?>a|b)(c)>", "<(a)*+>", "<(a){2}+>"]
)
def test_a_pattern_is_not_plain_that_sees_ahead_or_never_turns_back(source):
    assert [one.plain for one in compile_patterns((source, r"<(?i:a|b)+?([^>]{2,})\1>"))] == [
        False,
        True,
    ]


def test_patterns_are_compiled_once():
    assert compile_patterns(DEFAULT_PATTERNS) is compile_patterns(DEFAULT_PATTERNS)
