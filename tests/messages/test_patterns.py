"""Which patterns are taken, and what they begin and end with."""

import re

import pytest
import regex
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from limner.messages.errors import SettingsInvalid
from limner.messages.patterns import DEFAULT_PATTERNS, MAX_SOURCE, compile_patterns

LITERALS = st.sampled_from(
    [
        r"\{",
        "{",
        r"\[",
        "<",
        ">",
        "]",
        "}",
        "-",
        '"',
        r"\"",
        r"\.",
        " ",
        "a",
        "é",
        r"\n",
        r"\t",
        "#",
    ]
)
SETS = st.sampled_from(["[]a]", "[^]]", r"[\]\\]", "[a-c{]", "[^<>]", "[()|]", r"[(\])]", "[^^$]"])
ESCAPES = st.sampled_from([r"\d", r"\w", r"\s", r"\S", ".", r"\x41", r"\u0042", r"\101", r"\055"])
REPEATS = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,2}", "{0}", "?+"])
BRACES = st.sampled_from(["{}", "{x}", "{2", "{2,", "{,x}"])
GROUPS = st.sampled_from(["(", "(?:", "(?i:", "(?s-i:", "(?=", "(?!", "(?>"])


@st.composite
def parts(draw, depth: int = 2) -> str:
    """Something that may stand in a pattern."""
    kind = draw(st.integers(0, 9))
    if kind <= 4 or (kind >= 8 and not depth):
        part = draw(LITERALS)
    elif kind <= 7:
        part = draw(SETS | ESCAPES | BRACES)
    else:
        inner = st.lists(parts(depth=depth - 1), min_size=1, max_size=3).map("".join)
        part = draw(GROUPS) + "|".join(draw(st.lists(inner, min_size=1, max_size=2))) + ")"
    return part + (draw(REPEATS) if draw(st.integers(0, 3)) == 0 else "")


some = st.lists(parts(), max_size=3).map("".join)
sources = st.builds("{}{}({}){}{}".format, LITERALS, some, some, some, LITERALS)


def usable(source: str) -> bool:
    try:
        compile_patterns((source,))
        re.compile(source)  # which `from_regex` reads by
    except (SettingsInvalid, re.error):
        return False
    return True


@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(sources.filter(usable), st.data())
def test_every_match_begins_with_the_opener_and_ends_with_the_closer(source, data):
    (pattern,) = compile_patterns((source,))
    text = data.draw(st.from_regex(source, fullmatch=True))
    assume(regex.fullmatch(source, text))
    assert pattern.opener
    assert pattern.closer
    assert text.startswith(pattern.opener)
    assert text.endswith(pattern.closer)


@pytest.mark.parametrize(
    ("source", "opener", "closer"),
    [
        (DEFAULT_PATTERNS[0], '<!--img-prompt="', '"-->'),
        (DEFAULT_PATTERNS[1], '<img-prompt="', '">'),
        (DEFAULT_PATTERNS[2], '<img_prompt="', '">'),
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


def test_patterns_are_compiled_once():
    assert compile_patterns(DEFAULT_PATTERNS) is compile_patterns(DEFAULT_PATTERNS)
