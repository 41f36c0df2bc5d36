"""Which patterns are taken, and what they begin and end with."""

import pytest
import regex
from hypothesis import given, settings
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
SETS = st.sampled_from(
    ["[]a]", "[^]]", "[[]", r"[\]\\]", "[[:alpha:]]", "[a-c{]", "[^<>]", "[()|]"]
)
ESCAPES = st.sampled_from(
    [r"\d", r"\w", r"\s", r"\S", ".", r"\x41", r"\u0042", r"\101", r"\p{Lu}", r"\N{DIGIT ONE}"]
)
REPEATS = st.sampled_from(
    ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,2}", "{0}", "?+", "{}", "{x}"]
)
GROUPS = st.sampled_from(
    ["(", "(?:", "(?P<name>", "(?<other>", "(?i:", "(?=", "(?!", "(?>", "(?s-i:"]
)


@st.composite
def sources(draw, depth: int = 2) -> str:
    """A pattern of parts that are each valid, which may still be refused as a whole."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 5))
        if kind <= 2 or not depth:
            parts.append(draw(LITERALS))
        elif kind == 3:
            parts.append(draw(SETS | ESCAPES))
        else:
            inner = "|".join(draw(st.lists(sources(depth=depth - 1), min_size=1, max_size=2)))
            parts.append(f"{draw(GROUPS)}{inner})")
        parts[-1] += draw(REPEATS)
    return "".join(parts)


@settings(max_examples=1_500, deadline=None)
@given(sources(), sources(), sources(), st.data())
def test_every_match_begins_with_the_opener_and_ends_with_the_closer(left, inner, right, data):
    source = f"{left}({inner}){right}"
    try:
        (pattern,) = compile_patterns((source,))
    except SettingsInvalid:
        return
    assert pattern.opener
    assert pattern.closer
    # `from_regex` reads patterns as `re` does; where the two differ nothing is drawn.
    try:
        text = data.draw(st.from_regex(source, fullmatch=True), label="text")
    except Exception as error:
        if type(error).__module__.startswith("hypothesis"):
            raise
        return
    if regex.fullmatch(source, text):
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
