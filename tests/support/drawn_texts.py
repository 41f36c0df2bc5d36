"""Drawn texts with prompt tags, and pictures for them, as nasty as they come."""

from itertools import pairwise

from hypothesis import strategies as st

from limner.messages.ids import picture_id, prompt_id, task_id
from limner.messages.pictures import Failure, Picture, Placement
from limner.messages.prompts import Prompt, PromptMatch
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.text.compose import compose
from limner.messages.text.marks import failure_mark, find_marks, mark
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.scanner import find_prompts

BRACES = r"\{\{((?:[^{}\\]|\\.)*)\}\}"
READS_ON = (r"\[\[([^|]*)\]\]", r"<pic ([^|]*)>", r'\(\("((?:a|[^;])*)"\)\)')
"""These match from a tag that was never closed, over whatever is inserted, to their next end."""

NASTY = (
    '"><script>alert(1)</script>',
    "](x) `b` [c]",
    "a\\",
    '"-->',
    "\n\n# x",
    "{{y}}",
    "&quot;",
    "&amp;lt;",
    "a & b",
    "é" * 400,
    "<img ",
    "![",
    "]]",
    '"))',
    "a -- b",
    "[⚠ x]",
)
prompts = st.text(st.sampled_from('ab "<>\\[](){}`!&#;-\n\té|'), min_size=1, max_size=10).filter(
    str.strip
) | st.sampled_from(NASTY)
urls = (
    st.text(st.sampled_from("ab/.:?&=#%\"<>()[]\\ `'\n\x00é\u2028;4"), min_size=1, max_size=10)
    .map(lambda url: "p/" + url)
    .map(lambda url: url + "?")
) | st.sampled_from(
    [
        "data:image/png;base64,iVBORw0KGgo=",
        "p/a.png?a=1&b=2#c",
        "p/%26amp%3B&amp;é.png",
        "data:image/svg+xml,<svg a='b'/>",
        'p/"a" (1).png',
    ]
)


def tag(prompt: str, form: int = 0) -> str:
    escaped = prompt.replace("\\", "\\\\").replace('"', '\\"')
    forms = ('<!--img-prompt="{}"-->', '<img-prompt="{}">', '<img_prompt="{}">', "{{{{{}}}}}")
    return (*forms, "[[{}]]", "<pic {}>")[form].format(escaped)


JUNK = ('<!--img-prompt="', "<img ", "<span ", "![", "[⚠", '"-->', ">", "{{", "[[", "<pic ", '(("')
texts = st.lists(
    st.builds(tag, prompts, st.integers(0, 5))
    | st.sampled_from(["\n", "  ", "prose ", "\n\n- a", "<b>", *JUNK]),
    max_size=7,
).map("".join)
notations = st.builds(
    Notation,
    patterns=st.sampled_from(
        [DEFAULT_PATTERNS, (*DEFAULT_PATTERNS, BRACES), (*READS_ON, *DEFAULT_PATTERNS, BRACES)]
    ),
    markup=st.sampled_from(["html", "markdown"]),
    placeholders=st.just(True),
)


def placement(prompt: Prompt, picture: bytes = b"a", *, url: str = "p/a.png") -> Placement:
    kept = Picture(id=picture_id(picture), url=url, media_type="image/png", width=1, height=1)
    return Placement(
        prompt_id=prompt.id,
        prompt=prompt.text,
        picture=kept,
        task_id=task_id("s", prompt.id, picture[0]),
    )


def failure(prompt: Prompt, task: int = 0, *, reason: str = "no luck") -> Failure:
    return Failure(
        task_id=task_id("f", prompt.id, task),
        prompt_id=prompt.id,
        prompt=prompt.text,
        state="failed",
        reason=reason,
    )


def scan(text: str, notation: Notation) -> list[PromptMatch]:
    return find_prompts(text, notation.patterns, max_tag=notation.max_tag)


def put(text: str, placements, failures=(), registry=None, *, notation: Notation):
    return compose(
        text,
        placements,
        message_id="m",
        patterns=notation.patterns,
        markup=notation.markup,
        failures=failures,
        registry=registry,
    )


@st.composite
def wanted(draw, text: str, notation: Notation):
    """Pictures and failures for the prompts of a text, and for one that is not in it."""
    placements, failures = [], []
    for match in scan(text, notation):
        prompt = Prompt.of("m", match)
        pictures = draw(st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=2))
        placements += [placement(prompt, picture, url=draw(urls)) for picture in pictures]
        tasks = draw(st.lists(st.integers(0, 1), max_size=1))
        failures += [failure(prompt, task, reason=draw(prompts)) for task in tasks]
    if draw(st.booleans()):
        stranger = Prompt(
            id=prompt_id("m", "not there", 0), message_id="m", text="not there", ordinal=0
        )
        placements.append(placement(stranger))
        failures.append(failure(stranger))
    return draw(st.permutations(placements)), failures


@st.composite
def cases(draw):
    """A text without marks, its notation, and what to insert into it."""
    notation = draw(notations)
    text = draw(texts)
    return text, notation, *draw(wanted(text, notation))


@st.composite
def scenes(draw):
    """A text without marks; the text with some, its registry, and its notation."""
    text, notation, placements, failures = draw(cases())
    composed = put(text, placements, failures, notation=notation)
    prompts_there = tuple(Prompt.of("m", match) for match in scan(text, notation))
    links = RegistryUpdate(prompts=prompts_there, placed=composed.placed)
    return text, composed.text, Registry().settle("m", links, frozenset()), notation


def without_marks(text: str, notation: Notation) -> str:
    """Return a text without marks and their line ends, computed in another way than Limner's."""
    matches = scan(text, notation)
    ends = {match.end for match in matches}
    out, done, beside = "", 0, -1
    for one in find_marks(text, matches):
        between = text[done : one.start]
        beside = done if done == beside or done in ends else beside
        if between.endswith("\n") and one.markup == "markdown":
            before = one.start - 1
            if before in ends or (between == "\n" and done == beside):
                between = between[:-1]
        out += between
        done = one.end
        beside = one.end if one.start in ends or one.start - 1 in ends or beside >= 0 else -1
    return out + text[done:]


def written(one: Placement | Failure, notation: Notation) -> tuple[str, str]:
    """Return the id of a mark, and the mark as it is written."""
    if isinstance(one, Placement):
        return one.id, mark(one, notation.markup)
    return one.id, failure_mark(one, notation.markup)


def nothing_overlaps(text: str, notation: Notation) -> bool:
    """Return whether no tag and mark overlap, when each kind is looked for alone."""
    spans = [(one.start, one.end) for one in (*scan(text, notation), *find_marks(text))]
    spans.sort()
    return all(left[1] <= right[0] for left, right in pairwise(spans))
