"""`limner pictures`, and how a picture is named."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from support.command_line import COMMAND, completed, started
from support.illustrated import PICTURE, THREE, chat, placements, story, tag

from limner.messages.errors import UnknownPicture
from limner.messages.ids import prompt_id
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.text.notation import Notation
from limner.scripts.app import run
from limner.scripts.revise.inventory import Entry, Sheet, Spot, find, inventory


def test_a_pipe_gets_a_line_for_each_prompt_and_picture():
    file = story()
    done = completed("pictures", "story.md")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [(line[0], line[1], line[3]) for line in lines[::2]] == [
        ("story.md:1", "prompt", "a red door"),
        ("story.md:1", "prompt", "a blue door"),
        ("story.md:2", "prompt", "a green door"),
    ]
    assert [line[2:5] for line in lines[1::2]] == [
        [str(number), name, "stands"] for number, name in enumerate(placements(file), 1)
    ]
    assert all(Path(line[5]).is_file() for line in lines[1::2])


def test_a_program_gets_json_with_the_history_and_what_became_of_each_picture(capsys):
    file = story()
    old = placements(file)
    assert run(["regenerate", "-q", "story.md", "2", "--prompt", "a door, blue"]) == 0
    text = file.read_text()
    file.write_text(PICTURE.sub("", text, count=1))
    assert run(["pictures", "--json", "story.md"]) == 0
    [told] = json.loads(capsys.readouterr().out)["messages"]
    assert told["message"] == "story.md"
    red, blue, green = told["prompts"]
    assert [picture["state"] for picture in red["pictures"]] == ["missing"]
    assert [picture["number"] for picture in red["pictures"]] == [None]
    assert [prompt["prompt"] for prompt in blue["history"]] == ["a blue door", "a door, blue"]
    assert [prompt["source"] for prompt in blue["history"]] == ["streamed", "manual"]
    assert [(picture["number"], picture["state"]) for picture in blue["pictures"]] == [
        (1, "stands"),
        (None, "past"),
    ]
    assert blue["pictures"][1]["placement"] == old[1]
    assert [(picture["number"], picture["state"]) for picture in green["pictures"]] == [
        (2, "stands")
    ]


def test_what_could_not_be_made_is_listed_with_the_reason(monkeypatch, capsys):
    monkeypatch.setenv("LIMNER_PLACEHOLDERS", "true")
    monkeypatch.setenv("LIMNER_MAX_PICTURE_PIXELS", "1")
    Path("story.md").write_text(tag("a door"))
    assert run(["illustrate", "story.md", "-o", "story.md", "-q"]) == 3
    capsys.readouterr()
    assert run(["pictures", "story.md"]) == 0
    out = capsys.readouterr().out
    assert "\tfailure\t" in out
    assert "pixels" in out


def test_a_file_that_limner_never_illustrated_is_called_that(capsys, folder):
    Path("story.md").write_text(THREE)
    assert run(["pictures", "story.md"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\tprompt\t") == 3
    assert captured.err == (
        "limner: story.md has not been illustrated by Limner; it holds 3 prompts\n"
    )
    assert [path.name for path in folder.iterdir()] == ["story.md"]  # not even a registry


def test_pictures_are_told_from_the_marks_where_the_registry_is_lost(capsys):
    file = story()
    before = placements(file)
    Path(".limner.sqlite").unlink()
    assert run(["pictures", "story.md"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}\tstands\tpictures/" in out for name in before)


def on_a_terminal(*arguments: str) -> tuple[int, bytes]:
    """Run the command on a terminal; return its status, and what is shown there."""
    terminal, end = pty.openpty()
    with started(*arguments, stdout=end) as process:
        os.close(end)
        shown = b""
        try:
            while block := os.read(terminal, 65_536):
                shown += block
        except OSError:  # how Linux tells that the other end is closed
            pass
        process.wait()
    os.close(terminal)
    return process.returncode, shown


def test_a_diff_cannot_drive_the_terminal():
    story(text=f"{tag('a door')} \x1b]0;owned\x07\n")
    status, shown = on_a_terminal("clean", "--dry-run", "story.md")
    assert status == 0
    assert "�]0;owned�".encode() in shown


def test_a_terminal_gets_a_table_that_prompts_cannot_drive(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    story(text=tag("\x1b]0;owned\x07[bold red]a\x1b[2J door[/bold red]\u202e"))
    status, shown = on_a_terminal("pictures", "story.md")
    assert status == 0
    assert b"owned" not in shown
    assert b"\x1b[2J" not in shown
    assert "\u202e".encode() not in shown
    assert b"[bold red]a door[/bold red]" in shown
    assert b"stands" in shown


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_prompt_is_told_whatever_letters_the_standard_output_knows(monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("TERM", "xterm")
    story(text=f"{tag('a door, 門')}\n")
    done = completed("pictures", "story.md")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "a door, 門" in done.stdout.decode()
    for arguments in (["pictures"], ["clean", "--dry-run"]):
        status, shown = on_a_terminal(*arguments, "story.md")
        assert status == 0
        assert b"a door, ?" in shown


def test_a_reader_that_leaves_gets_no_traceback():
    story()
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "pictures", "story.md"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_broken_lines_of_a_chat_are_told_and_give_status_3(capsys):
    file = chat()
    file.write_text(file.read_text() + "{broken\n")
    assert run(["pictures", "chat.jsonl"]) == 3
    captured = capsys.readouterr()
    assert captured.out.count("\tprompt\t") == 3
    assert "line 7" in captured.err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["pictures", "story.md"], 0),
        (["regenerate", "story.md", "1"], 2),
        (["regenerate", "story.md", "--failed"], 2),
        (["reconcile", "story.md"], 0),
        (["clean", "story.md"], 0),
    ],
)
def test_who_names_the_file_without_the_pictures_is_told_of_the_other_one(
    capsys, arguments, status
):
    Path("story.md").write_text(THREE)
    assert run(["illustrate", "-q", "story.md"]) == 0
    assert run(arguments) == status
    [said] = capsys.readouterr().err.splitlines()
    assert said.endswith(". story.illustrated.md is beside it")
    assert run([arguments[0], "story.illustrated.md", *arguments[2:]]) in {0, status}
    assert "beside" not in capsys.readouterr().err


# how a picture is named

RED, BLUE = "3f2a" + "0" * 16, "99" + "1" * 18
ONE, OTHER = "51d0" + "2" * 28, "51d1" + "3" * 28


def sheet(*pictures: tuple[str, str]) -> list[Sheet]:
    entries = [
        Entry(name, "stands" if state == "stands" else "past", "", number)
        for number, (name, state) in enumerate(pictures, 1)
    ]
    entries = [
        entry if entry.state == "stands" else Entry(entry.placement, "past", "", None)
        for entry in entries
    ]
    return [Sheet("7", (Spot(1, RED, "", (), tuple(entries), ()),))]


BOTH = sheet((f"{RED}:{ONE}", "stands"), (f"{RED}:{OTHER}", "stands"))


@pytest.mark.parametrize(
    "given", ["1", f"{RED}:{ONE}", "51d0", f"{RED}:51d0", "3f2a:51d0", f"  {ONE.upper()} "]
)
def test_a_picture_is_named_by_its_number_or_by_a_beginning_of_its_id(given):
    assert find(given, BOTH, file="f") == ("7", f"{RED}:{ONE}")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("3f2a", f"'3f2a' may be {RED}:{ONE}, {RED}:{OTHER}; give more of its id"),
        ("3", "no picture '3' stands in f"),
        ("0", "no picture '0' stands in f"),
        ("51d", "no picture '51d' stands in f"),
        ("", "no picture '' stands in f"),
        (f"51d0{'2' * 20}9", f"the closest is {RED}:{ONE}; limner pictures f names all"),
        ("\uff19" * 5, "no picture"),
        ("9" * 5_000, "no picture"),
    ],
)
def test_what_names_no_picture_or_several_is_told(given, told):
    with pytest.raises(UnknownPicture) as raised:
        find(given, BOTH, file="f")
    assert told in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_beginning_that_only_one_standing_picture_has_is_enough():
    known = sheet((f"{RED}:{ONE}", "past"), (f"{RED}:{OTHER}", "stands"))
    assert find("3f2a", known, file="f") == ("7", f"{RED}:{OTHER}")


def test_a_picture_that_does_not_stand_in_the_text_is_told_why():
    with pytest.raises(UnknownPicture, match="was taken out; it stands in the text no more"):
        find("51d0", sheet((f"{RED}:{ONE}", "past")), file="f")


def test_what_may_be_a_number_or_an_id_is_told_to_be_either():
    many = [(f"{RED}:{number:032x}", "stands") for number in range(1, 1_235)]
    known = sheet(*many, (f"{BLUE}:1234{'a' * 28}", "stands"))
    with pytest.raises(UnknownPicture, match=r"'1234' may be .*; give more of its id"):
        find("1234", known, file="f")
    assert find("12", known, file="f")[1] == many[11][0]


def test_a_picture_of_two_messages_is_told_apart_by_its_number():
    entries = [Entry(f"{RED}:{ONE}", "stands", "", number) for number in (1, 2)]
    both = [
        Sheet(line, (Spot(1, RED, "", (), (entry,), ()),))
        for line, entry in zip("27", entries, strict=True)
    ]
    assert find("1", both, file="f") == ("2", f"{RED}:{ONE}")
    assert find("2", both, file="f") == ("7", f"{RED}:{ONE}")
    for given in ("51d0", f"{RED}:{ONE}"):
        with pytest.raises(UnknownPicture, match="several messages; name it by its number: 1, 2"):
            find(given, both, file="f")


def test_the_one_of_two_messages_where_a_picture_stands_is_meant():
    gone = Sheet("2", (Spot(1, RED, "", (), (Entry(f"{RED}:{ONE}", "past", "", None),), ()),))
    assert find("51d0", [gone, *BOTH], file="f") == ("7", f"{RED}:{ONE}")


# where a prompt comes from


def refined(number: int) -> list[Prompt]:
    """Return a prompt and those that were refined from it, each from the one before."""
    first = prompt_id("m", "a door", 0)
    ids = [first, *(f"{index:020x}" for index in range(1, number))]
    return [
        Prompt.trusted(
            id=prompt_id,
            message_id="m",
            text="a door",
            ordinal=0,
            parent_id=parent,
            source="manual",
            feedback=None,
        )
        for prompt_id, parent in zip(ids, [None, *ids], strict=False)
    ]


def test_a_ring_of_prompts_is_gone_through_once():
    first, second = refined(2)
    ring = Registry(prompts=(first.but(parent_id=second.id), second))
    [spot] = inventory("m", tag("a door"), ring, Notation()).spots
    assert [prompt.id for prompt in spot.history] == [second.id, first.id]


def test_a_history_that_is_too_long_is_cut():
    prompts = refined(1_000)
    [spot] = inventory("m", tag("a door"), Registry(prompts=tuple(prompts)), Notation()).spots
    assert [prompt.id for prompt in spot.history] == [prompt.id for prompt in prompts[:200]]


@pytest.mark.parametrize("quote", ['"', "'", ""])
def test_what_another_program_has_quoted_otherwise_is_told_too(quote):
    owner = prompt_id("m", "a door", 0)
    picture, failed = f"{owner}:{'a' * 32}", f"{owner}:{'b' * 20}"
    text = (
        f"{tag('a door')}<img data-src=x.png src={quote}u.png{quote} data-limner={quote}{picture}"
        f"{quote}><span title={quote}slow{quote} data-limner-failed={quote}{failed}{quote}>!</span>"
    )
    [spot] = inventory("m", text, Registry(), Notation()).spots
    assert [(entry.placement, entry.url) for entry in spot.pictures] == [(picture, "u.png")]
    assert [(failure.id, failure.reason) for failure in spot.failures] == [(failed, "slow")]


def test_a_text_that_was_copied_lists_its_pictures_at_their_tags(capsys):
    file = story()
    Path("copy.md").write_text(file.read_text())
    assert run(["pictures", "copy.md"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == ["prompt", "picture"] * 3
    assert [row[3] for row in rows if row[1] == "prompt"] == [
        "a red door", "a blue door", "a green door",
    ]  # fmt: skip
    assert [row[3] for row in rows if row[1] == "picture"] == placements(file)
