"""The command as people use it: real processes, files, pipes, signals and a terminal."""

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import command_line
from support.command_line import COMMAND, PATIENCE, clear_environment, end_of, wait_for

from limner.scripts.app import run

MARKDOWN_MARK = re.compile(rb'(?:\r?\n)?!\[[^]]*\]\(([^)]*)\)<!--data-limner="[^"]*"-->')
HTML_MARK = re.compile(rb'\n?<img data-limner="[^"]*" alt="[^"]*" src="([^"]*)">')


def tag(prompt: str) -> str:
    return f'<!--img-prompt="{prompt}"-->'


THREE = f"One. {tag('a red door')} Two. {tag('a blue door')} Three. {tag('a green door')} End.\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    clear_environment(monkeypatch)
    monkeypatch.setenv("LIMNER_GENERATOR", "instant")
    return tmp_path


started = partial(command_line.started, "illustrate")
completed = partial(command_line.completed, "illustrate")


def put(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.flush()


def events(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.parametrize(
    ("prompts", "told"),
    [
        (5, "3 prompts past the 2 of one text (LIMNER_MAX_PROMPTS_PER_MESSAGE): '2', '3', '4'"),
        (32, "30 prompts past the 2 of one text (LIMNER_MAX_PROMPTS_PER_MESSAGE): '2', '3', '4', "),
    ],
)
def test_prompts_past_the_limit_are_one_line(prompts, told, monkeypatch, capsys):
    monkeypatch.setenv("LIMNER_MAX_PROMPTS_PER_MESSAGE", "2")
    Path("a.md").write_text("".join(map(tag, map(str, range(prompts)))))
    assert run(["illustrate", "-q", "a.md"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"limner: no pictures of {told}")
    assert len(line) < 200


def test_long_prompts_past_the_limit_are_cut(monkeypatch, capsys):
    monkeypatch.setenv("LIMNER_MAX_PROMPTS_PER_MESSAGE", "0")
    Path("a.md").write_text("".join(tag(f"{number}\n" + "x" * 500) for number in range(9)))
    assert run(["illustrate", "-q", "a.md"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 400
    assert line.endswith(", ...")


# what is not searched


def test_code_and_thoughts_are_not_searched_when_asked_for(capsys):
    text = f"<think>{tag('a')}</think>\n\n```\n{tag('b')}\n```\n\nSee {tag('c')} `{tag('d')}`\n"
    Path("a.md").write_text(text)
    options = ["--ignore", "code", "--ignore", "think"]
    assert run(["illustrate", "-q", "a.md", *options]) == 0
    written = Path("a.illustrated.md").read_bytes()
    assert len(MARKDOWN_MARK.findall(written)) == 1
    assert run(["regenerate", "-q", "a.illustrated.md", "1", *options]) == 0
    assert run(["reconcile", "-q", "a.illustrated.md", *options]) == 0
    capsys.readouterr()
    assert run(["pictures", "a.illustrated.md", "--json", *options]) == 0
    spots = json.loads(capsys.readouterr().out)
    assert "'a'" not in str(spots)
    assert run(["clean", "a.illustrated.md", "-o", "-", *options]) == 0
    assert capsys.readouterr().out == text.replace(tag("c"), "")


# near misses


def test_what_is_nearly_a_tag_is_told_with_its_place(capsys):
    Path("a.md").write_text(f"One\n{tag('a cat')} <!-- img-prompt='a lamp' -->\n")
    assert run(["illustrate", "a.md"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("limner:")]
    assert len(told) == 2
    assert "line 2, column 27: \"<!-- img-prompt='a lamp' -->\" looks like a prompt tag" in told[0]
    assert told[0].endswith('but has a space within its beginning; other quotes than "')
    assert "--pattern tolerant (LIMNER_PATTERNS=tolerant)" in told[1]


def test_what_is_nearly_a_tag_is_drawn_when_asked_for(capsys):
    Path("a.md").write_text("One <!-- img-prompt='a lamp' -->\n")
    assert run(["illustrate", "-q", "a.md", "--pattern", "tolerant"]) == 0
    assert "data-limner" in Path("a.illustrated.md").read_text()
    assert not capsys.readouterr().err


def test_what_is_no_tag_for_any_pattern_has_no_advice(capsys):
    Path("a.md").write_text('One <img-prompt="a lamp\n')
    assert run(["illustrate", "-q", "a.md"]) == 0
    (told,) = capsys.readouterr().err.splitlines()
    assert "line 1, column 5: '<img-prompt=\"a lamp' looks like a prompt tag" in told
    assert told.endswith("but has no end after its prompt")


def test_a_pattern_of_javascript_is_refused_with_what_to_write(capsys):
    Path("a.md").write_text("One")
    assert run(["illustrate", "a.md", "--pattern", "/<pic (.*?)>/g"]) == 2
    assert "stands between slashes, as in JavaScript; write '<pic (.*?)>'" in (
        capsys.readouterr().err
    )


# files


def test_a_file_is_illustrated_beside_itself_and_every_picture_opens(folder: Path) -> None:
    Path("story.md").write_text(THREE)
    done = completed("story.md", "--generator", "sketch", "--events", "log/e.jsonl")
    assert done.returncode == 0
    assert done.stdout == b""
    written = Path("story.illustrated.md").read_bytes()
    assert MARKDOWN_MARK.sub(b"", written) == THREE.encode()
    urls = [url.decode() for url in MARKDOWN_MARK.findall(written)]
    assert len(set(urls)) == 3
    for url in urls:
        assert url.startswith("pictures/")
        with Image.open(folder / url) as picture:
            picture.load()
    lines = done.stderr.decode().splitlines()
    assert sorted(line for line in lines if line.startswith(("found", "drawn"))) == sorted(
        f"{state}   a {colour} door" for state in ("found", "drawn") for colour in COLOURS
    )
    assert lines[-2:] == ["written story.illustrated.md, 3 pictures in pictures", f"events  {LOG}"]
    assert [event["event"] for event in events(LOG)].count("text_written") == 1


COLOURS = ("red", "blue", "green")
LOG = "log/e.jsonl"


def test_all_but_the_pictures_stays_byte_for_byte(folder: Path) -> None:
    source = b"\xef\xbb\xbf" + f"Ünder\r\n{tag('a door')}\r\n\r\n😀 no end of line".encode()
    Path("story.md").write_bytes(source)
    assert completed("story.md", "-q").returncode == 0
    written = Path("story.illustrated.md").read_bytes()
    assert len(MARKDOWN_MARK.findall(written)) == 1
    assert MARKDOWN_MARK.sub(b"", written) == source


def test_the_pictures_are_referred_to_from_where_the_output_is() -> None:
    Path("story.md").write_text(tag("a door"))
    done = completed("story.md", "-o", "out/deep/page.html", "--pictures", "out/a b#1")
    assert done.returncode == 0
    [url] = HTML_MARK.findall(Path("out/deep/page.html").read_bytes())
    assert url.startswith(b"../a%20b%231/")
    assert (Path("out/a b#1") / Path(url.decode()).name).is_file()


def test_the_output_may_be_the_source_if_it_is_named() -> None:
    Path("story.md").write_text(THREE)
    assert completed("story.md", "-o", "story.md").returncode == 0
    assert MARKDOWN_MARK.sub(b"", Path("story.md").read_bytes()) == THREE.encode()
    once = Path("story.md").read_bytes()
    assert len(MARKDOWN_MARK.findall(once)) == 3


def test_an_empty_file_is_written_as_it_is() -> None:
    Path("story.md").write_bytes(b"")
    assert completed("story.md").returncode == 0
    assert Path("story.illustrated.md").read_bytes() == b""


def test_patterns_of_ones_own_take_the_place_of_the_usual_ones() -> None:
    Path("story.txt").write_text(f"{{draw: a cat}} [pic a dog] {tag('a door')}")
    done = completed("story.txt", "--pattern", r"\{draw: (.*?)\}", "--pattern", r"\[pic (.*?)\]")
    assert done.returncode == 0
    assert len(MARKDOWN_MARK.findall(Path("story.illustrated.txt").read_bytes())) == 2
    assert done.stderr.count(b"found") == 2
    assert b"a door" not in done.stderr


# pipes


def test_a_pipe_is_illustrated_while_it_still_flows() -> None:
    head, rest = THREE[: THREE.index("Two.")], THREE[THREE.index("Two.") :]
    with started("-", "-o", "out.md", "--events", LOG) as process:
        put(process, head)
        wait_for(process.stderr, b"drawn   a red door")
        assert "generation_started" in Path(LOG).read_text()
        assert process.poll() is None
        put(process, rest)
        process.stdin.close()  # type: ignore[union-attr]
        end_of(process)
    assert process.returncode == 0
    assert MARKDOWN_MARK.sub(b"", Path("out.md").read_bytes()) == THREE.encode()
    names = [event["event"] for event in events(LOG)]
    assert names.index("generation_started") < names.index("session_sealed")


def test_characters_and_tags_may_be_cut_anywhere_in_a_pipe() -> None:
    source = f"Größe 😀 {tag('a café')} Ende".encode()
    with started("-", "-o", "out.md") as process:
        assert process.stdin is not None
        for byte in source:
            process.stdin.write(bytes([byte]))
            process.stdin.flush()
        process.stdin.close()
        end_of(process)
    assert process.returncode == 0
    assert MARKDOWN_MARK.sub(b"", Path("out.md").read_bytes()) == source


def test_standard_output_gets_the_text_and_nothing_else(folder: Path) -> None:
    done = completed("-", text=THREE.replace("\n", "\r\n").encode())
    assert done.returncode == 0
    assert MARKDOWN_MARK.sub(b"", done.stdout) == THREE.replace("\n", "\r\n").encode()
    for url in MARKDOWN_MARK.findall(done.stdout):
        assert (folder / url.decode()).is_file()
    assert done.stderr.endswith(b"written standard output, 3 pictures in pictures\n")
    assert sorted(path.name for path in folder.iterdir()) == ["pictures"]


def test_quiet_says_nothing_when_nothing_is_wrong() -> None:
    done = completed("-", "--quiet", text=THREE.encode())
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_of_standard_output_that_leaves_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    with started("-", "-q", stdout=writing) as process:
        os.close(writing)
        os.close(reading)
        _, err = process.communicate(THREE.encode())
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert b"Exception" not in err


def test_a_reader_of_the_version_that_leaves_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "--version"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_reader_of_standard_error_that_leaves_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with started("-", "-o", "out.md", stderr=writing) as process:
        os.close(writing)
        process.communicate(THREE.encode())
    assert process.returncode == 0
    assert len(MARKDOWN_MARK.findall(Path("out.md").read_bytes())) == 3


# exit statuses


def test_pictures_that_failed_are_named_and_give_status_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_MAX_PICTURE_PIXELS", "1")
    Path("story.md").write_text(tag("a door"))
    done = completed("story.md", "--quiet", "--generator", "sketch")
    assert done.returncode == 3
    assert done.stderr.startswith(b"limner: no picture of 'a door': ")
    assert done.stderr.count(b"\n") == 1
    assert Path("story.illustrated.md").read_text() == tag("a door")


def test_prompts_over_the_limit_are_named_and_give_status_3(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIMNER_MAX_PROMPTS_PER_MESSAGE", "2")
    Path("story.md").write_text(THREE)
    done = completed("story.md")
    assert done.returncode == 3
    assert (
        b"limner: no pictures of 1 prompt past the 2 of one text "
        b"(LIMNER_MAX_PROMPTS_PER_MESSAGE): 'a green door'\n" in done.stderr
    )
    assert len(MARKDOWN_MARK.findall(Path("story.illustrated.md").read_bytes())) == 2


def test_a_store_that_cannot_be_read_gives_status_1_and_one_line() -> None:
    Path("story.md").write_text(THREE)
    Path(".limner.sqlite").write_bytes(b"no database at all" * 100)
    done = completed("story.md", "--quiet")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b".limner.sqlite" in done.stderr
    assert not Path("story.illustrated.md").exists()


def test_a_full_disk_behind_standard_output_gives_status_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(folder))
    with Path("/dev/full").open("wb") as full, started("-", "-q", stdout=full) as process:
        _, err = process.communicate(b"a text")
    assert process.returncode == 1
    [kept] = folder.glob("limner.*.md")
    assert kept.read_text() == "a text"
    assert err.decode().splitlines() == [
        "limner: standard output cannot be written: No space left on device",
        f"limner: the text is kept in {kept}",
    ]


def prepare() -> None:
    Path("story.md").write_text(THREE)
    Path("latin.md").write_bytes("Grüße".encode("latin-1"))
    Path("cut.md").write_bytes("ab😀".encode()[:-1])
    Path("dir").mkdir()
    Path("alias.md").symlink_to("alias.illustrated.md")
    Path("alias.illustrated.md").write_text(THREE)
    Path("bad.toml").write_text("slots = 0")
    os.mkfifo("fifo")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gone.md"], "'gone.md' cannot be read: No such file"),
        (["dir"], "'dir' is a directory"),
        (["latin.md"], "'latin.md' is not UTF-8 text: byte 0xfc at offset 2"),
        (["cut.md"], "'cut.md' is not UTF-8 text: byte 0xf0 at offset 2"),
        (["alias.md"], "is the source under another name"),
        (["story.md", "-o", "dir"], "output 'dir' is a directory"),
        (["story.md", "-o", "new/"], "output 'new/' names no file"),
        (["story.md", "-o", "fifo"], "is no regular file"),
        (["story.md", "-o", "story.md/out.md"], "output: 'story.md' is no directory"),
        (["story.md", "-o", "a\nb.md"], "printable characters"),
        (["story.md", "-o", f"{'x' * 300}.md"], "cannot be written: File name too long"),
        (["story.md", "-o", "/proc/out.md"], "output: cannot write in '/proc'"),
        (["story.md", "-o", ".limner.sqlite"], "output '.limner.sqlite': a name"),
        (["story.md", "-o", "story.md", "--rate", "5"], "--rate: the output is the source"),
        (["story.md", "--pictures", "story.md"], "'story.md' is no directory"),
        (["story.md", "--events", "dir"], "events: cannot write to 'dir'"),
        (["story.md", "--rate", "0"], "--rate: 0.01 to 1,000,000"),
        (["story.md", "--rate", "nan"], "--rate: 0.01 to 1,000,000"),
        (["story.md", "--slots", "0"], "slots: input should be greater than or equal to 1, not 0"),
        (["story.md", "--slots", "x"], "'--slots'"),
        (["story.md", "--min-time", "-1"], "min_time: input should be greater than or equal to 0"),
        (["story.md", "--pattern", "<x"], "pattern '<x' has no group"),
        (["story.md", "--generator", "x"], "generator: there is no 'x'"),
        (["story.md", "--markup", "latex"], "'--markup'"),
        (["story.md", "--config", "bad.toml"], "slots: input should be greater than or equal to 1"),
        (["story.md", "--config", "gone.toml"], "settings file 'gone.toml' cannot be read"),
        (["story.md", "more"], "unexpected extra argument"),
        (["--what"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_wrong_use_gives_status_2_and_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    prepare()
    before = sorted(Path().iterdir())
    assert run(["illustrate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert captured.err.startswith("limner: ")
    assert captured.err.count("\n") == 1
    assert sorted(path for path in Path().iterdir() if path.name != "pictures") == before


def test_a_text_that_is_too_long_gives_status_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_MAX_TEXT", "10")
    Path("story.md").write_text("x" * 11)
    assert run(["illustrate", "story.md"]) == 2
    assert "more than the 10 characters" in capsys.readouterr().err


def test_standard_output_that_is_closed_gives_status_2() -> None:
    script = 'exec "$@" >&- '
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *COMMAND, "illustrate", "-"],
        input=b"x",
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr == b"limner: standard output is closed; name a file with -o\n"


# Ctrl-C


def waiting_for_a_pipe(process: subprocess.Popen[bytes]) -> None:
    put(process, THREE)


def waiting_for_pictures(process: subprocess.Popen[bytes]) -> None:
    put(process, THREE)
    process.stdin.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("begin", [waiting_for_a_pipe, waiting_for_pictures])
def test_the_first_ctrl_c_writes_what_is_finished(
    begin: Callable[[subprocess.Popen[bytes]], None], number: signal.Signals
) -> None:
    with started("-", "-o", "out.md", "--slots", "1", "--min-time", "600") as process:
        begin(process)
        wait_for(process.stderr, b"drawn   a red door")
        process.send_signal(number)
        said = end_of(process)
    assert process.returncode == 130
    written = Path("out.md").read_bytes()
    assert MARKDOWN_MARK.sub(b"", written) == THREE.encode()
    assert len(MARKDOWN_MARK.findall(written)) == 1
    assert b"stopped a blue door" in said
    assert said.endswith(b"written out.md, 1 picture in pictures\n")


def test_the_first_ctrl_c_ends_a_file_that_waits_for_its_pictures() -> None:
    Path("story.md").write_text(THREE)
    with started("story.md", "--slots", "1", "--min-time", "600") as process:
        wait_for(process.stderr, b"drawn   a red door")
        process.send_signal(signal.SIGINT)
        end_of(process)
    assert process.returncode == 130
    written = Path("story.illustrated.md").read_bytes()
    assert MARKDOWN_MARK.sub(b"", written) == THREE.encode()
    assert len(MARKDOWN_MARK.findall(written)) == 1


def test_the_first_ctrl_c_ends_a_paced_text_where_it_is() -> None:
    Path("story.md").write_text(THREE + "x" * 100_000)
    with started("story.md", "--rate", "400") as process:
        wait_for(process.stderr, b"drawn   a red door")
        process.send_signal(signal.SIGINT)
        end_of(process)
    assert process.returncode == 130
    written = MARKDOWN_MARK.sub(b"", Path("story.illustrated.md").read_bytes()).decode()
    assert THREE.startswith(written[: len(THREE)])
    assert tag("a red door") in written
    assert len(written) < 10_000


def test_a_ctrl_c_before_any_text_writes_nothing() -> None:
    Path("out.md").write_text("of an earlier day")
    with started("-", "-o", "out.md") as process:
        wait_for(process.stderr, b"reading standard input")
        process.send_signal(signal.SIGINT)
        said = end_of(process)
    assert process.returncode == 130
    assert said == b"limner: interrupted; the text was not written\n"
    assert Path("out.md").read_text() == "of an earlier day"


def test_the_second_ctrl_c_writes_nothing() -> None:
    Path("old.md").write_text(tag("a door"))
    assert completed("old.md").returncode == 0
    # the registry is locked, so the session can neither begin to write nor end
    with closing(sqlite3.connect(".limner.sqlite")) as held:
        held.execute("PRAGMA journal_mode = DELETE")
        held.execute("BEGIN EXCLUSIVE")
        with started("-", "-o", "out.md") as process:
            put(process, THREE)
            wait_for(process.stderr, b"found")
            process.send_signal(signal.SIGINT)
            wait_for(process.stderr, b"interrupted: ")
            process.send_signal(signal.SIGINT)
            said = end_of(process)
    assert process.returncode == 130
    assert said.splitlines()[-1] == b"limner: interrupted; the text was not written"
    assert not Path("out.md").exists()


# the terminal


def on_a_terminal(*arguments: str, until: bytes, text: str) -> tuple[int, bytes]:
    """Run with a terminal as standard error; send Ctrl-C once it shows something."""
    terminal, end = pty.openpty()
    shown = b""
    with started(*arguments, stderr=end) as process:
        os.close(end)
        put(process, text)
        try:
            while block := os.read(terminal, 65_536):
                if until not in shown and until in shown + block:
                    process.send_signal(signal.SIGINT)
                shown += block
        except OSError:  # how Linux tells that the other end is closed
            pass
        process.wait()
    os.close(terminal)
    return process.returncode, shown


def test_a_terminal_shows_how_far_the_pictures_are_and_then_where_they_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    status, shown = on_a_terminal(
        "-", "-o", "out.md", "--slots", "1", "--min-time", "600", until=b"1 drawn", text=THREE
    )
    assert status == 130
    assert f"standard input  {len(THREE)} characters".encode() in shown
    assert "1 drawn · 2 waiting".encode() in shown
    assert b"of 1 in use" in shown
    assert b"limner: no picture of 'a blue door': interrupted" in shown
    assert shown.endswith(b"written out.md, 1 picture in pictures\r\n")


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_prompt_cannot_drive_the_terminal(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("TERM", term)
    hostile = tag("\x1b]0;owned\x07[bold red]a\x1b[2J door[/bold red]\x9b5A\u202e")
    status, shown = on_a_terminal(
        "-", "-o", "out.md", "--slots", "1", "--min-time", "600", until=b"drawn",
        text=tag("a cat") + hostile + THREE,
    )  # fmt: skip
    assert status == 130
    assert b"owned" not in shown
    assert b"\x1b[2J" not in shown
    assert "\x9b".encode() not in shown
    assert "\u202e".encode() not in shown
    assert b"[bold red]a door[/bold red]" in shown


# the command itself


def test_the_version_is_of_the_installed_package_or_says_that_there_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--version"]) == 0
    assert re.match(r"limner(, run from its source| \d+\.\d+)", capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["illustrate", "-h"]])
def test_help_shows_an_example(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 0
    help_text = capsys.readouterr().out
    assert 'some-llm "tell me a story" | limner illustrate - -o story.md\n' in re.sub(
        " +\n", "\n", help_text
    )


def test_help_and_version_load_nothing_that_only_a_command_needs() -> None:
    script = (
        "import sys; from limner.scripts.app import run; run(['--help']); "
        "run(['--version']); print([name for name in ('limner.actors', 'sqlalchemy', 'PIL',"
        " 'pydantic_settings', 'structlog') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_benchmark_is_a_part_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "stream", "--help"]) == 0
    assert "--messages" in capsys.readouterr().out
    assert run(["bench", "stream", "--messages", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["bench", "nothing"]) == 2
