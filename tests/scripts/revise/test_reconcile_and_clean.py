"""`limner reconcile` and `limner clean`."""

import re
import signal
from pathlib import Path

import pytest
from support.command_line import completed, end_of, started
from support.illustrated import (
    MESSAGES,
    PICTURE,
    THREE,
    chat,
    contents,
    message,
    placements,
    said,
    story,
    tag,
)

from limner.scripts.app import run

IN_JSON = re.compile(rb'(\\n)?!\[[^]]*\]\([^)]*\)<!--data-limner=\\"[^"]*\\"-->')
CLEAN = "One.  Two. \nThree.  End.\n"


def strip(file: Path) -> None:
    """Remove the pictures, as another program does that knows nothing of them."""
    file.write_text(PICTURE.sub("", file.read_text()))


def test_what_was_stripped_is_put_back_once(capsys):
    file = story()
    whole, names = file.read_text(), placements(file)
    strip(file)
    assert run(["reconcile", "story.md"]) == 0
    assert file.read_text() == whole
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"back    {names[0]}  a red door"
    assert lines[-1] == "written story.md, 3 pictures put back"
    assert run(["reconcile", "story.md"]) == 0
    assert file.read_text() == whole
    assert capsys.readouterr().err == "nothing is to be put back in story.md\n"


def test_what_cannot_be_put_back_is_named_with_the_reason_and_gives_status_3(capsys):
    file = story()
    names = placements(file)
    strip(file)
    file.write_text(file.read_text().replace(tag("a blue door"), ""))
    assert run(["reconcile", "story.md"]) == 3
    assert len(placements(file)) == 2
    err = capsys.readouterr().err
    assert f"limner: not put back: {names[1]}, of 'a blue door': its prompt is no longer" in err


def test_a_dry_run_of_reconcile_shows_the_change_and_writes_nothing(capsys, folder):
    file = story()
    strip(file)
    before = contents(folder)
    assert run(["reconcile", "story.md", "--dry-run", "-q"]) == 0
    assert contents(folder) == before
    shown = capsys.readouterr().out.splitlines()
    assert run(["reconcile", "story.md", "-q"]) == 0
    assert [line[1:] for line in shown if line[:1] in " +"][1:] == file.read_text().splitlines()


def test_a_file_that_was_never_illustrated_is_left_alone(capsys, folder):
    Path("story.md").write_text(THREE)
    assert run(["reconcile", "story.md"]) == 0
    assert run(["clean", "story.md", "--in-place", "--keep", "prompts"]) == 0
    assert Path("story.md").read_text() == THREE
    assert [path.name for path in folder.iterdir()] == ["story.md"]
    assert capsys.readouterr().err == (
        "nothing is to be put back in story.md\nunchanged story.md, nothing taken out\n"
    )


def test_a_text_is_cleaned_in_its_place_and_stays_clean(capsys):
    file = story()
    whole = file.read_bytes()
    assert run(["clean", "story.md", "--in-place"]) == 0
    assert file.read_text() == CLEAN
    assert Path("story.md.bak").read_bytes() == whole
    assert capsys.readouterr().err == (
        "kept    story.md.bak, the text as it was\n"
        "written story.md, 3 pictures, 3 prompts taken out\n"
    )
    file.write_text(THREE)  # they were taken out on purpose
    assert run(["reconcile", "story.md", "-q"]) == 0
    assert file.read_text() == THREE


@pytest.mark.parametrize("keep", [[], ["--keep", "prompts"]])
def test_what_was_stripped_before_a_text_is_cleaned_does_not_come_back(keep, capsys):
    file = story()
    strip(file)
    assert run(["clean", "story.md", "--in-place", *keep]) == 0
    file.write_text(THREE)
    assert run(["reconcile", "story.md"]) == 0
    assert file.read_text() == THREE
    assert "nothing is to be put back in story.md" in capsys.readouterr().err


def test_pictures_that_are_kept_as_a_text_is_cleaned_can_come_back():
    file = story()
    whole = file.read_text()
    strip(file)
    assert (
        run(["clean", "-q", "--in-place", "story.md", "--keep", "pictures", "--keep", "prompts"])
        == 0
    )
    assert run(["reconcile", "-q", "story.md"]) == 0
    assert file.read_text() == whole


def test_a_text_is_cleaned_into_another_file_or_a_pipe():
    file = story()
    whole = file.read_bytes()
    done = completed("clean", "story.md", "-o", "-", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, CLEAN.encode(), b"")
    assert run(["clean", "story.md", "-o", "out/clean.md", "-q"]) == 0
    assert Path("out/clean.md").read_text() == CLEAN
    assert [path.name for path in Path("out").iterdir()] == ["clean.md"]
    assert file.read_bytes() == whole


def test_what_is_to_be_kept_is_kept():
    file = story()
    whole = file.read_text()
    assert run(["clean", "story.md", "-q", "--in-place", "--keep", "prompts"]) == 0
    assert file.read_text() == THREE
    file.write_text(whole)
    assert (
        run(["clean", "story.md", "-q", "--in-place", "--keep", "pictures", "--keep", "failures"])
        == 0
    )
    assert len(placements(file)) == 3
    assert "img-prompt" not in file.read_text()


def test_what_stood_in_the_file_that_is_written_over_does_not_come_back():
    story("old.md")
    Path("new.md").write_text(THREE)
    assert run(["clean", "new.md", "-o", "old.md", "--keep", "prompts", "-q"]) == 0
    assert run(["reconcile", "old.md", "-q"]) == 0
    assert Path("old.md").read_text() == THREE


def test_a_dry_run_of_clean_shows_the_change_and_writes_nothing(capsys, folder):
    story()
    before = contents(folder)
    assert run(["clean", "story.md", "--dry-run"]) == 0
    assert contents(folder) == before
    captured = capsys.readouterr()
    added = [line[1:] for line in captured.out.splitlines() if line[:1] == "+"][1:]
    assert added == CLEAN.splitlines()
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["story.md", "--dry-run", "-o", "out.md"], "leave -o out"),
        (["story.md", "--in-place", "-o", "out.md"], "leave -o out"),
        (["story.md", "--keep", "words"], "'--keep'"),
        (["story.md", "-o", "dir/"], "output 'dir/' names no file"),
    ],
)
def test_wrong_use_of_clean_gives_status_2_and_one_line(capsys, arguments, told):
    Path("story.md").write_text(THREE)
    assert run(["clean", *arguments]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


# chats


def test_a_chat_is_reconciled_message_by_message(capsys):
    file = chat()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    whole = file.read_bytes()
    lines = file.read_text().splitlines(keepends=True)
    lines[1] = chat("untouched").read_text().splitlines(keepends=True)[1]
    file.write_text("".join(lines), newline="")
    assert file.read_bytes() != whole
    assert run(["reconcile", "chat.jsonl"]) == 0
    assert "2 pictures put back" in capsys.readouterr().err
    assert len(PICTURE.findall(said(file, 2))) == 2
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]), newline="")
    assert run(["reconcile", "chat.jsonl"]) == 3
    assert "of 'a boat': the text is gone" in capsys.readouterr().err


def test_a_message_that_is_a_users_by_now_is_told_like_one_that_is_gone(capsys):
    file = chat()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    lines = file.read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace('"is_user": false', '"is_user": true')
    file.write_text("".join(lines), newline="")
    for arguments in ([], ["--dry-run"]):
        capsys.readouterr()
        assert run(["reconcile", "chat.jsonl", *arguments]) == 3
        assert "of 'a boat': the text is gone" in capsys.readouterr().err


def test_a_chat_is_cleaned_and_nothing_else_of_it_changes():
    file = chat()
    untouched = file.read_bytes()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    whole = file.read_bytes()
    done = completed("clean", "chat.jsonl", "--keep", "prompts", "-o", "-", "-q")
    assert done.returncode == 0
    assert file.read_bytes() == whole
    assert done.stdout.splitlines(keepends=True)[1:] == untouched.splitlines(keepends=True)[1:]
    assert run(["clean", "chat.jsonl", "-q", "--in-place"]) == 0
    assert said(file, 2) == "Hello  there ."
    assert said(file, 3) == MESSAGES[1]["mes"]  # what a user said is the user's
    assert said(file, 5) == "End "


@pytest.mark.parametrize("command", ["clean", "reconcile"])
def test_ctrl_c_says_how_many_messages_were_changed(command):
    file = chat("chat.jsonl", *(message(tag(f"door {number}")) for number in range(150)))
    assert run(["illustrate", "-q", "chat.jsonl", "--generator", "instant"]) == 0
    if command == "reconcile":
        lines = file.read_bytes().split(b"\r\n")
        file.write_bytes(b"\r\n".join([lines[0], *(IN_JSON.sub(b"", line) for line in lines[1:])]))
    before, marks = file.stat().st_ino, file.read_bytes().count(b'data-limner=\\"')
    more = ["--in-place"] if command == "clean" else []
    with started(command, "chat.jsonl", *more) as process:
        while file.stat().st_ino == before:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        told = end_of(process).decode()
    changed = abs(marks - file.read_bytes().count(b'data-limner=\\"'))
    assert process.returncode == 130
    assert 0 < changed < 150
    were = "message was" if changed == 1 else "messages were"
    assert told.endswith(
        f"limner: interrupted; {changed} {were} changed in chat.jsonl; run it again for the rest\n"
    )
    assert run([command, "-q", "chat.jsonl", *more]) == 0


def test_what_is_wrong_with_a_chat_that_is_printed_is_said_of_the_chat(capfd):
    file = chat()
    file.write_bytes(file.read_bytes() + b"broken\n")
    assert run(["clean", "chat.jsonl", "-o", "-"]) == 3
    assert "limner: chat.jsonl, line 7," in capfd.readouterr().err
