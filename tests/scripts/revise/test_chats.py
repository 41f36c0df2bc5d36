"""`limner illustrate` on a chat of SillyTavern."""

import json
import re
import signal
from pathlib import Path

import pytest
from support.command_line import end_of, started, wait_for
from support.illustrated import MESSAGES, PICTURE, chat, message, said, tag

from limner.scripts.app import run


def pictures(file: Path, *lines: int) -> list[int]:
    """Count the pictures of some messages."""
    return [len(PICTURE.findall(said(file, line))) for line in lines]


def test_all_messages_of_the_assistant_are_illustrated_in_place(capsys):
    file = chat()
    untouched = file.read_bytes()
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert pictures(file, 2, 3, 4, 5, 6) == [2, 0, 0, 1, 0]
    chosen = json.loads(file.read_text().splitlines()[4])
    assert chosen["swipes"] == ["other", chosen["mes"]]
    before, after = (data.splitlines(keepends=True) for data in (untouched, file.read_bytes()))
    for line in (3, 4, 6):
        assert after[line - 1] == before[line - 1]
    stripped = re.sub(rb'(\\n)?!\[[^]]*\]\([^)]*\)<!--data-limner=\\"[^"]*\\"-->', b"", after[1])
    assert stripped == before[1]
    assert Path("chat.jsonl.bak").read_bytes() == untouched
    assert sorted(path.name for path in Path().iterdir()) == [
        "chat.jsonl", "chat.jsonl.bak", "pictures",
    ]  # fmt: skip
    assert len(list(Path("pictures").iterdir())) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "kept    chat.jsonl.bak, the chat as it was",
        "written chat.jsonl, 3 pictures in pictures",
    ]


def test_illustrating_again_draws_only_what_is_missing(capsys):
    file = chat()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    once = file.read_bytes()
    capsys.readouterr()
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert file.read_bytes() == once
    assert "every prompt has a picture; --mode" in capsys.readouterr().err
    more = json.dumps(message(f"More {tag('a cow')}"))
    file.write_bytes(once + f"{more}\r\n".encode())
    assert run(["illustrate", "chat.jsonl", "--only-missing"]) == 0
    assert pictures(file, 2, 5, 7) == [2, 1, 1]
    assert "wanted  a cat" not in capsys.readouterr().err


def test_what_is_nearly_a_tag_is_told_with_its_message(capsys):
    file = chat()
    near = json.dumps(message("More\n<IMG-prompt='a cow'>"))
    file.write_bytes(file.read_bytes() + f"{near}\r\n".encode())
    for arguments in ([], ["--message", "7"]):
        assert run(["illustrate", "-q", "chat.jsonl", *arguments]) == 0
        told = capsys.readouterr().err.splitlines()
        assert told[0].startswith("limner: chat.jsonl:7, line 2, column 1: ")
        assert "capital letters" in told[0]
        assert "--pattern tolerant" in told[1]
    assert run(["illustrate", "-q", "chat.jsonl", "--pattern", "tolerant"]) == 0
    assert pictures(file, 7) == [1]
    assert not capsys.readouterr().err


def test_what_was_stripped_is_put_back_and_not_drawn_again(capsys):
    file = chat()
    assert run(["illustrate", "-q", "chat.jsonl", "--message", "2"]) == 0
    whole = said(file, 2)
    stripped = json.dumps(PICTURE.sub("", whole))
    file.write_text(file.read_text().replace(json.dumps(whole), stripped))
    assert pictures(file, 2, 5) == [0, 0]
    capsys.readouterr()
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert said(file, 2) == whole
    assert pictures(file, 2, 5) == [2, 1]
    told = capsys.readouterr().err
    assert "wanted  a boat" in told
    assert "wanted  a red door" not in told
    file.write_text(file.read_text().replace(json.dumps(whole), stripped))
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert said(file, 2) == whole
    assert capsys.readouterr().err.endswith("written chat.jsonl, 2 pictures in pictures\n")


@pytest.mark.parametrize(
    ("mode", "there"),
    [
        ("append-after-image", [4, 1]),
        ("append-after-prompt", [4, 1]),
        ("append", [4, 1]),
        ("replace-image", [2, 1]),
        ("replace", [2, 1]),
    ],
)
def test_a_mode_says_what_happens_at_prompts_that_have_pictures(mode, there):
    replaces = mode in {"replace", "replace-image"}
    file = chat()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    before = set(PICTURE.findall(said(file, 2)))
    assert run(["illustrate", "-q", "chat.jsonl", "--mode", mode, "--message", "2"]) == 0
    assert pictures(file, 2, 5) == there
    assert before <= set(PICTURE.findall(said(file, 2))) or replaces
    after = PICTURE.findall(said(file, 2))
    assert len(before & set(after)) == (0 if replaces else 2)
    assert replaces or (after[1] in before) == (mode == "append-after-prompt")


def test_some_messages_may_be_meant_alone():
    messages = [message(tag(f"door {number}")) for number in range(4)]
    file = chat("chat.jsonl", *messages)
    assert run(["illustrate", "-q", "chat.jsonl", "--message", "3", "--message", "5"]) == 0
    assert pictures(file, 2, 3, 4, 5) == [0, 1, 0, 1]


def test_a_chat_may_be_illustrated_in_a_copy():
    file = chat()
    untouched = file.read_bytes()
    assert run(["illustrate", "-q", "chat.jsonl", "-o", "new/copy.jsonl"]) == 0
    assert file.read_bytes() == untouched
    assert pictures(Path("new/copy.jsonl"), 2, 5) == [2, 1]
    assert sorted(path.name for path in Path("new").iterdir()) == ["copy.jsonl", "pictures"]
    assert [path.name for path in Path().iterdir() if path.name != "new"] == ["chat.jsonl"]


@pytest.mark.parametrize("command", ["illustrate", "clean"])
def test_a_copy_goes_over_no_illustrated_chat(command, capsys):
    there = chat("there.jsonl")
    assert run(["illustrate", "-q", "there.jsonl"]) == 0
    before = there.read_bytes()
    chat()
    assert run([command, "-q", "chat.jsonl", "-o", "there.jsonl"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("limner: output 'there.jsonl' is a chat with 3 pictures, which a copy")
    assert there.read_bytes() == before


def test_a_clean_copy_may_be_made_again():
    chat()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    for _ in range(2):
        assert run(["clean", "-q", "chat.jsonl", "-o", "clean.jsonl"]) == 0
    assert "data-limner" not in said("clean.jsonl", 2)


def test_pictures_that_did_not_come_with_a_copy_are_told(capsys):
    chat()
    assert run(["illustrate", "-q", "chat.jsonl", "--message", "2"]) == 0
    assert run(["illustrate", "-q", "chat.jsonl", "-o", "new/copy.jsonl"]) == 3
    assert (
        "limner: 2 pictures have no file any more in new/pictures; put the files back, or make "
        "them again with limner reconcile --redraw\n"
    ) in capsys.readouterr().err
    assert run(["illustrate", "-q", "chat.jsonl", "-o", "beside.jsonl"]) == 0
    assert "no file" not in capsys.readouterr().err


def test_pictures_that_are_replaced_are_told(capsys):
    file = chat()
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert "removed" not in capsys.readouterr().err
    marks = [found[2] for found in PICTURE.finditer(said(file, 5))]
    assert run(["illustrate", "chat.jsonl", "--mode", "replace", "--message", "5"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [f"removed {mark}" for mark in marks] == [
        line for line in lines if line[:7] == "removed"
    ]


def test_no_backup_is_kept_if_none_is_wanted_or_the_chat_is_not_untouched():
    chat()
    assert run(["illustrate", "-q", "chat.jsonl", "--no-backup"]) == 0
    assert run(["regenerate", "-q", "chat.jsonl", "1"]) == 0
    assert not Path("chat.jsonl.bak").exists()


def test_the_output_may_be_the_chat_itself():
    file = chat()
    assert run(["illustrate", "-q", "chat.jsonl", "-o", "./chat.jsonl"]) == 0
    assert pictures(file, 2) == [2]
    assert Path("chat.jsonl.bak").is_file()


def test_a_chat_is_known_by_its_content_and_other_json_lines_are_not_broken(capsys):
    chat("story.txt")
    assert run(["illustrate", "-q", "story.txt"]) == 0
    assert pictures(Path("story.txt"), 2) == [2]
    Path("log.jsonl").write_text(json.dumps({"text": tag("a door")}))
    assert run(["illustrate", "log.jsonl"]) == 2
    assert "is JSON lines but no chat of SillyTavern" in capsys.readouterr().err
    Path("prose.jsonl").write_text(tag("a door"))
    assert run(["illustrate", "-q", "prose.jsonl"]) == 0


@pytest.mark.parametrize("more", [[], ["--pattern", r"\[\[([^]]*)\]\]"]])
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("j.json", '{"a":1}', "is a JSON document, and a picture in it would break it"),
        ("notes.md", json.dumps([tag("a door")], indent=1), "is a JSON document"),
        ("j.txt", "\ufeff[[1]]", "is a JSON document"),
        ("log.txt", '{"a":"[[x]]"}\n\n{"a":2}\n', "is JSON lines but no chat of SillyTavern"),
        ("group.txt", json.dumps(MESSAGES[0]), "is a chat of SillyTavern without its header"),
    ],
)
def test_a_json_document_that_is_no_chat_is_refused(name, content, told, more, capsys):
    Path(name).write_text(content)
    assert run(["illustrate", name, *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"limner: '{name}' {told}")
    assert [path.name for path in Path().iterdir()] == [name]
    assert Path(name).read_text() == content


@pytest.mark.parametrize(
    "content", ["{} is empty.", "[1](a.md) and [2]\n", '{"title": "Rain"}\n\nIt rained.\n', "7"]
)
def test_a_text_that_only_begins_like_json_is_illustrated(content):
    Path("story.md").write_text(f"{content} {tag('a door')}")
    assert run(["illustrate", "-q", "story.md"]) == 0


def test_a_broken_line_is_told_and_the_others_are_illustrated(capsys):
    file = chat()
    file.write_bytes(file.read_bytes() + b"{broken\n")
    assert run(["illustrate", "chat.jsonl"]) == 3
    assert "line 7" in capsys.readouterr().err
    assert pictures(file, 2, 5) == [2, 1]
    assert file.read_bytes().endswith(b"{broken\n")


def test_pictures_that_failed_give_status_3_or_1_if_nothing_was_written(monkeypatch, capsys):
    monkeypatch.setenv("LIMNER_MAX_PICTURE_PIXELS", "1")
    file = chat()
    untouched = file.read_bytes()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 1
    assert file.read_bytes() == untouched
    assert "no picture of 'a red door'" in capsys.readouterr().err
    monkeypatch.setenv("LIMNER_PLACEHOLDERS", "true")
    assert run(["illustrate", "-q", "chat.jsonl"]) == 3
    assert said(file, 2).count("data-limner-failed") == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chat.jsonl", "--message", "3"], "line 3, is a message of the user"),
        (["chat.jsonl", "--message", "6"], "line 6, is a message of the system"),
        (["chat.jsonl", "--message", "1"], "line 1 is the header"),
        (["chat.jsonl", "--message", "99"], "ends before that line"),
        (["chat.jsonl", "--message", "99", "-o", "new.jsonl"], "ends before that line"),
        (["chat.jsonl", "--message", "x"], "'--message'"),
        (["chat.jsonl", "--only-missing", "--mode", "append"], "leave one out"),
        (["chat.jsonl", "-o", "-"], "-o -: a chat is illustrated where it stands"),
        (["chat.jsonl", "--rate", "5"], "--rate: a chat is illustrated where it stands"),
        (["chat.jsonl", "--no-backup", "-o", "new.jsonl"], "--no-backup: with -o"),
        (["story.md", "--message", "2"], "are for chats"),
        (["story.md", "--no-backup"], "are for chats"),
        (["-", "--only-missing"], "are for files that are illustrated already"),
        (["story.md", "--rate", "5", "--redraw"], "are for files that are illustrated already"),
    ],
)
def test_wrong_use_gives_status_2_one_line_and_changes_nothing(capsys, folder, arguments, told):
    chat()
    Path("story.md").write_text(tag("a door"))
    assert run(["illustrate", *arguments]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.startswith("limner: ")
    assert err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["chat.jsonl", "story.md"]


def test_the_first_ctrl_c_writes_what_is_finished_and_leaves_the_rest():
    file = chat("chat.jsonl", *(message(tag(f"door {number}")) for number in range(9)))
    with started("illustrate", "chat.jsonl", "--slots", "1", "--min-time", "600") as process:
        wait_for(process.stderr, b"drawn   door")
        process.send_signal(signal.SIGINT)
        said_then = end_of(process)
    assert process.returncode == 130
    assert sum(pictures(file, *range(2, 11))) == 1
    assert b"door 8" not in said_then
    assert said_then.endswith(b"written chat.jsonl, 1 picture in pictures\n")
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    assert pictures(file, *range(2, 11)) == [1] * 9


def test_messages_of_users_are_never_asked_for(capsys):
    chat("chat.jsonl", MESSAGES[1], MESSAGES[4])
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert "no message of the assistant holds a prompt" in capsys.readouterr().err
    assert not Path("chat.jsonl.bak").exists()
