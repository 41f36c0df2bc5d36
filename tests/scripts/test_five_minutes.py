"""What a new user does in the first five minutes, each step a process of its own.

Nothing is lost, nothing is drawn twice, and each step says what it did and where.
"""

import re
import signal
from pathlib import Path

import pytest
from support.command_line import clear_environment, completed, end_of, started, wait_for
from support.illustrated import PICTURE, THREE, placements, tag

from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.scanner import find_prompts
from limner.scripts.paths import PICTURES

STORY = Path(__file__).parents[2] / "scripts" / "stories" / "lighthouse.md"
SOURCE, OUT, CLEAN = (
    Path("story.md"),
    Path("story.illustrated.md"),
    Path("story.illustrated.clean.md"),
)
WITHOUT = re.sub(r"<!--img-prompt=.*?-->", "", THREE)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    clear_environment(monkeypatch)
    return tmp_path


def says(*arguments: str, status: int = 0, text: bytes = b"") -> list[str]:
    """Run the command, and return the lines that it told the user."""
    done = completed(*arguments, text=text)
    told = done.stderr.decode()
    assert done.returncode == status, told
    return told.splitlines()


def drawn(lines: list[str]) -> int:
    return sum(line.startswith("drawn") for line in lines)


def files() -> set[str]:
    return {path.name for path in Path().iterdir() if not path.name.startswith(".")}


def test_a_story_is_illustrated_again_regenerated_looked_into_and_cleaned() -> None:
    SOURCE.write_text(THREE)
    first = says("illustrate", "story.md", "--events", "events.jsonl")
    assert drawn(first) == 3
    assert first[-2:] == [
        f"written {OUT}, 3 pictures in {PICTURES}",
        "events  events.jsonl",
    ]
    once = OUT.read_text()
    assert PICTURE.sub("", once) == SOURCE.read_text() == THREE
    assert {url for url, _ in PICTURE.findall(once)} == {
        path.as_posix() for path in Path(PICTURES).iterdir()
    }

    again = says("illustrate", "story.md")
    assert drawn(again) == 0
    assert again[-1] == (
        f"{OUT} is as it should be: every prompt has a picture; "
        "--mode append-after-image makes more"
    )
    assert OUT.read_text() == once

    listed = completed("pictures", str(OUT))
    assert listed.returncode == 0
    assert [name in listed.stdout.decode() for name in placements(OUT)] == [True] * 3
    (helped,) = says("regenerate", str(OUT), status=2)
    assert helped.startswith("limner: which picture? name its number or its id, as limner pictures")
    before = placements(OUT)
    made = says("regenerate", str(OUT), "2", "--prompt", "a blue gate")
    after = placements(OUT)
    assert drawn(made) == 1
    assert [before[0], before[2]] == [after[0], after[2]]
    assert made[-3:] == [
        f"new     {after[1]}  a blue gate",
        f"removed {before[1]}",
        f"written {OUT}, 1 picture in {PICTURES}",
    ]
    assert PICTURE.sub("", OUT.read_text()) == THREE.replace("a blue door", "a blue gate")

    checked = completed("inspect", "events.jsonl", "--check")
    assert checked.returncode == 0
    assert checked.stdout.startswith(b"passed: ")
    assert b"3 completed" in completed("inspect", "events.jsonl").stdout

    whole = OUT.read_text()
    assert says("clean", str(OUT)) == [f"written {CLEAN}, 3 pictures, 3 prompts taken out"]
    assert OUT.read_text() == whole
    assert CLEAN.read_text() == WITHOUT
    assert says("clean", str(OUT), "--in-place") == [
        f"kept    {OUT}.bak, the text as it was",
        f"written {OUT}, 3 pictures, 3 prompts taken out",
    ]
    assert OUT.read_text() == WITHOUT
    assert Path(f"{OUT}.bak").read_text() == whole
    assert SOURCE.read_text() == THREE
    assert len(list(Path(PICTURES).iterdir())) == 4  # and of those that were replaced, none is lost
    assert files() == {
        "story.md", OUT.name, f"{OUT.name}.bak", CLEAN.name, "events.jsonl", PICTURES,
    }  # fmt: skip


def test_the_story_of_the_demonstration_is_illustrated_whole() -> None:
    prompts = len(find_prompts(STORY.read_text(), DEFAULT_PATTERNS))
    assert prompts
    told = says("illustrate", str(STORY), "--rate", "100000", "-o", "out.md")
    assert drawn(told) == prompts
    assert told[-1] == f"written out.md, {prompts} pictures in {PICTURES}"
    assert PICTURE.sub("", Path("out.md").read_text()) == STORY.read_text()


def test_a_text_that_comes_through_a_pipe_is_written_to_the_pipe_after_it() -> None:
    done = completed("illustrate", "-", text=THREE.encode())
    assert done.returncode == 0
    assert PICTURE.sub("", done.stdout.decode()) == THREE
    assert done.stderr.decode().splitlines()[-1] == (
        f"written standard output, 3 pictures in {PICTURES}"
    )


def test_an_interrupt_leaves_what_is_finished_and_the_next_run_draws_the_rest() -> None:
    SOURCE.write_text(THREE)
    with started("illustrate", "story.md", "--slots", "1", "--min-time", "600") as process:
        wait_for(process.stderr, b"drawn ")
        process.send_signal(signal.SIGINT)
        told = end_of(process).decode()
    assert process.returncode == 130
    assert told.endswith(f"written {OUT}, 1 picture in {PICTURES}\n")
    (kept,) = placements(OUT)
    rest = says("illustrate", "story.md")
    assert drawn(rest) == 2
    assert kept in placements(OUT)
    assert len(placements(OUT)) == 3


@pytest.mark.parametrize(
    ("content", "arguments", "told"),
    [
        (None, ["illustrate", "story.md"], "limner: 'story.md' cannot be read: No such file"),
        (b"\xff\x00\x01", ["illustrate", "story.md"], "limner: 'story.md' is not UTF-8 text"),
        (b'{"a": 1}', ["illustrate", "story.md"], "limner: 'story.md' is a JSON document"),
        (b"Rain.", ["illustrate", "."], "limner: '.' is a directory"),
        (b"Rain.", ["illustrat", "story.md"], "limner: No such command 'illustrat'. Did you mean"),
        (b"Rain.", ["regenerate", "story.md", "1"], "limner: story.md has not been illustrated"),
        (b"Rain.", ["inspect", "story.md"], "limner: 'story.md' is no event log"),
    ],
)
def test_nonsense_gets_one_line_and_changes_nothing(
    content: bytes | None, arguments: list[str], told: str
) -> None:
    if content is not None:
        SOURCE.write_bytes(content)
    (line,) = says(*arguments, status=2)
    assert line.startswith(told)
    assert files() == ({"story.md"} if content is not None else set())


@pytest.mark.parametrize(
    ("text", "more", "told"),
    [
        ("Rain.", [], ': it holds no prompt such as <!--img-prompt="a lighthouse at dusk"-->'),
        ("Rain.", ["--pattern", r"\[\[(.*?)\]\]"], ": it holds no prompt"),
        (f"Rain. {tag('a roof')}", [], " 1 picture in pictures"),
    ],
)
def test_a_text_without_a_prompt_is_told_what_a_prompt_is(
    text: str, more: list[str], told: str
) -> None:
    SOURCE.write_text(text)
    last = says("illustrate", "story.md", *more)[-1]
    assert last.startswith(f"written {OUT},")
    assert last.endswith(told)
