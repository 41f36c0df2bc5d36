"""`limner regenerate`."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.command_line import end_of, started, wait_for
from support.illustrated import PICTURE, THREE, contents, placements, story, tag

from limner.scripts.app import run


def events(name: str) -> list[str]:
    return [json.loads(line)["event"] for line in Path(name).read_text().splitlines()]


def test_a_picture_is_replaced_by_another_one_and_it_is_said_which(capsys):
    file = story()
    red, blue, green = placements(file)
    assert run(["regenerate", "story.md", "2"]) == 0
    new = placements(file)
    assert (new[0], new[2]) == (red, green)
    assert new[1] != blue
    assert PICTURE.sub("", file.read_text()) == THREE
    lines = capsys.readouterr().err.splitlines()
    assert f"new     {new[1]}  a blue door" in lines
    assert f"removed {blue}" in lines
    assert lines[-1] == "written story.md, 1 picture in pictures"


def test_several_pictures_are_made_and_written_together(monkeypatch):
    monkeypatch.setenv("LIMNER_SETTLE_AFTER", "0")  # which is for hosts that wish now and then
    file = story()
    red, _, green = placements(file)
    assert run(["regenerate", "story.md", "1", green[21:29], "1", "--events", "e.jsonl"]) == 0
    assert events("e.jsonl").count("text_written") == 1
    new = placements(file)
    assert len(set(new)) == 4  # what is named twice is replaced by two
    assert red not in new
    assert green not in new
    assert PICTURE.sub("", file.read_text()) == THREE


@pytest.mark.parametrize(
    ("mode", "at"), [("append-after-image", 1), ("append", 1), ("append-after-prompt", 0)]
)
def test_a_new_picture_may_come_beside_the_old_one(mode, at):
    file = story(text=f"a {tag('a door')} b")
    [old] = placements(file)
    assert run(["regenerate", "-q", "story.md", "1", "--mode", mode]) == 0
    both = placements(file)
    assert len(both) == 2
    assert both[1 - at] == old


def test_another_prompt_is_drawn_and_written_into_the_tag():
    file = story(text=f"a {tag('a door')} b")
    assert run(["regenerate", "-q", "story.md", "1", "--prompt", 'a "red" door --> <b>']) == 0
    text = PICTURE.sub("", file.read_text())
    assert text.startswith('a <!--img-prompt="a \\"red\\" door -')
    assert text.endswith('"--> b')
    assert text.count("-->") == 1
    assert run(["regenerate", "-q", "story.md", "1"]) == 0  # and is drawn again from there
    assert len(placements(file)) == 1


def test_what_cannot_be_made_leaves_the_file_as_it_was_and_gives_status_1(monkeypatch, capsys):
    file = story()
    before = file.read_bytes()
    capsys.readouterr()
    monkeypatch.setenv("LIMNER_MAX_PICTURE_PIXELS", "1")
    assert run(["regenerate", "-q", "story.md", "1", "2"]) == 1
    assert file.read_bytes() == before
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "no picture of 'a red door': " in line]
    assert lines[-1].startswith("limner: nothing was written")


def test_failures_are_tried_again_and_give_way_to_their_pictures(monkeypatch, capsys):
    monkeypatch.setenv("LIMNER_PLACEHOLDERS", "true")
    monkeypatch.setenv("LIMNER_MAX_PICTURE_PIXELS", "1")
    file = Path("story.md")
    file.write_text(THREE)
    assert run(["illustrate", "story.md", "-o", "story.md", "-q"]) == 3
    assert file.read_text().count("data-limner-failed") == 3
    monkeypatch.delenv("LIMNER_MAX_PICTURE_PIXELS")
    assert run(["regenerate", "-q", "story.md", "--failed"]) == 0
    assert len(placements(file)) == 3
    assert PICTURE.sub("", file.read_text()) == THREE
    capsys.readouterr()
    assert run(["regenerate", "story.md", "--failed"]) == 2
    assert "holds no mark of a picture that failed" in capsys.readouterr().err


def test_one_failure_is_named_by_the_beginning_of_its_id(monkeypatch, capsys):
    monkeypatch.setenv("LIMNER_PLACEHOLDERS", "true")
    monkeypatch.setenv("LIMNER_MAX_PICTURE_PIXELS", "1")
    file = Path("story.md")
    file.write_text(THREE)
    assert run(["illustrate", "story.md", "-o", "story.md", "-q"]) == 3
    monkeypatch.delenv("LIMNER_MAX_PICTURE_PIXELS")
    capsys.readouterr()
    assert run(["pictures", "story.md"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    names = [line[2] for line in lines if line[1] == "failure"]
    assert run(["regenerate", "-q", "story.md", names[1][:30]]) == 0
    assert [name for name in names if name in file.read_text()] == [names[0], names[2]]
    assert [name.partition(":")[0] for name in placements(file)] == [names[1].partition(":")[0]]
    assert run(["regenerate", "-q", "story.md", names[1]]) == 2


def test_a_dry_run_shows_what_would_change_and_writes_nothing(capsys, folder):
    story()
    before = contents(folder)
    assert (
        run(
            [
                "regenerate",
                "story.md",
                "1",
                "1",
                "--dry-run",
                "--prompt",
                "a wall",
                "--min-time",
                "600",
            ]
        )
        == 0
    )
    assert contents(folder) == before
    captured = capsys.readouterr()
    assert captured.err == ""
    removed, added = (
        [line for line in captured.out.splitlines() if line[:1] == sign][1:] for sign in "-+"
    )
    assert len(removed) == len(added) == 1
    assert "a red door" in removed[0]
    assert 'img-prompt="a wall"' in added[0]
    assert added[0].count("(pictures/NEW.png)") == 2
    assert "a red door" not in added[0]


def test_a_dry_run_needs_no_place_to_write_to(folder, capsys):
    file = story(text=tag("a door"))
    Path(".limner.sqlite").unlink()
    before = sorted(path.name for path in folder.iterdir())
    assert run(["regenerate", "story.md", "1", "--dry-run", "--pictures", "no/such/folder"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == before
    assert "(no/such/folder/NEW.png)" in capsys.readouterr().out
    assert len(placements(file)) == 1


def test_wrong_use_gives_status_2_one_line_and_changes_nothing(capsys, folder):
    story()
    capsys.readouterr()
    before = contents(folder)
    for arguments, told in [
        ([], "which picture? name its number or its id"),
        (["9"], "no picture '9' stands in story.md"),
        (["1", "9"], "no picture '9' stands in story.md"),
        (["1", "2", "--prompt", "x"], "--prompt goes with pictures of one prompt"),
        (["1", "--prompt", " "], "prompt: a prompt says what is to be drawn"),
        (["1", "--prompt", "x" * 3_000], "3,000 characters"),
        (["1", "--mode", "below"], "'--mode': one of replace-image, "),
        (["--failed"], "holds no mark of a picture that failed"),
        (["--failed", "--prompt", "x"], "--prompt goes with pictures of one prompt"),
        (["1", "--generator", "x"], "generator: there is no 'x'"),
        (["1", "--pictures", "story.md"], "'story.md' is no directory"),
    ]:
        assert run(["regenerate", "-q", "story.md", *arguments]) == 2, arguments
        captured = capsys.readouterr()
        assert captured.out == ""
        assert told in captured.err
        assert captured.err.startswith("limner: ")
        assert captured.err.count("\n") == 1
        assert contents(folder) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_ctrl_c_writes_what_is_finished(number):
    file = story()
    red, blue, green = placements(file)
    with started("regenerate", "story.md", "1", "2", "3", "--slots", "1", "--min-time", "600") as (
        process
    ):
        wait_for(process.stderr, b"drawn   a red door")
        process.send_signal(number)
        said = end_of(process)
    assert process.returncode == 130
    new = placements(file)
    assert new[1:] == [blue, green]
    assert new[0] != red
    assert b"interrupted: writing what is finished" in said
    assert said.endswith(b"written story.md, 1 picture in pictures\n")


def test_the_second_ctrl_c_writes_nothing():
    file = story()
    before = file.read_bytes()
    with (
        closing(sqlite3.connect(".limner.sqlite")) as held,
        started("regenerate", "story.md", "1", "2", "--slots", "1", "--min-time", "600") as process,
    ):
        wait_for(process.stderr, b"drawn   a red door")
        held.execute("BEGIN IMMEDIATE")  # so the session cannot end its write
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # another, as two of one kind may come as one
        said = end_of(process)
    assert process.returncode == 130
    assert file.read_bytes() == before
    assert said.splitlines()[-1] == b"limner: interrupted; nothing was written"


def test_what_has_no_tag_to_stand_after_is_not_drawn(capsys):
    file = story(text=f"a {tag('a door')} b")
    assert run(["clean", "-q", "--in-place", "story.md", "--keep", "pictures"]) == 0
    before = file.read_bytes()
    for more in ([], ["--dry-run"]):
        arguments = ["regenerate", "story.md", "1", "--mode", "append-after-prompt", *more]
        assert run(arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith("limner: --mode append-after-prompt: the prompt of picture ")
        assert err.count("\n") == 1
    assert file.read_bytes() == before
    assert len(list(Path("pictures").iterdir())) == 1
    assert run(["regenerate", "-q", "story.md", "1"]) == 0


def prepare() -> None:
    Path("dir").mkdir()
    Path("latin.md").write_bytes("Grüße".encode("latin-1"))
    Path("cut.jsonl").write_text('{"no chat": 1}\n')
    Path("long.md").write_text("x" * 200)
    os.mkfifo("fifo")


COMMANDS = [["pictures"], ["regenerate", "--prompt=x"], ["reconcile"], ["clean"]]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("gone.md", "'gone.md' cannot be read: No such file"),
        ("dir", "'dir' is a directory; name a file"),
        ("fifo", "'fifo' is no regular file"),
        ("a\0b", "cannot be read: "),
        ("latin.md", "'latin.md' is not UTF-8 text: byte 0xfc at offset 2"),
        ("cut.jsonl", "'cut.jsonl' is JSON lines but no chat of SillyTavern"),
        ("long.md", "more than the 100 characters"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one[0])
def test_a_file_that_cannot_be_used_gives_status_2_and_one_line(
    capsys, monkeypatch, folder, command, file, told
):
    prepare()
    monkeypatch.setenv("LIMNER_MAX_TEXT", "100")
    before = sorted(folder.iterdir())
    given = [file, "1"] if command[0] == "regenerate" else [file]
    assert run([*command, *given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert captured.err.startswith("limner: ")
    assert captured.err.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one[0])
def test_a_broken_registry_gives_status_1_and_one_line(capsys, command):
    story(text=tag("a door"))
    capsys.readouterr()
    Path(".limner.sqlite").write_bytes(b"no database at all" * 100)
    given = ["story.md", "1"] if command[0] == "regenerate" else ["story.md"]
    assert run([*command, *given]) == 1
    captured = capsys.readouterr()
    assert ".limner.sqlite" in captured.err
    assert captured.err.count("\n") == 1
