"""A generator that runs a command, tried with commands that are written here."""

import os
import stat
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.actors.generators import Instant, open_generator
from limner.messages.errors import GenerationFailed, SettingsInvalid
from limner.messages.tasks import Task

PICTURE = Instant()._picture.data
NEVER = threading.Event()


def task(prompt="a boat"):
    return Task(id="t", session_id="s", message_id="m", prompt_id="p", prompt=prompt)


@pytest.fixture
def script(tmp_path):
    """Return what makes a generator of the Python source of a command."""
    (tmp_path / "picture.png").write_bytes(PICTURE)

    def write(source, arguments="{prompt} {output}"):
        path = tmp_path / "draw a.py"
        path.write_text(
            f"import os, shutil, signal, sys, time, subprocess\nHERE = {str(tmp_path)!r}\n"
            f"def draw(to=sys.argv[-1]): shutil.copy(HERE + '/picture.png', to)\n{source}\n",
            "utf-8",
        )
        return open_generator(f"exec:{sys.executable} '{path}' {arguments}")

    return write


def test_the_picture_is_what_the_command_has_written(script):
    assert script("draw()").generate(task(), NEVER).data == PICTURE


HOSTILE = [
    "a boat; touch pwned",
    "$(touch pwned) `touch pwned` && touch pwned | x > y",
    "{output} {seed} {prompt} {0} %s",
    'it\'s a "boat" \\ with\nlines\tand *',
    "ночь 🚤",
    "",
]


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_prompt_is_one_argument_whatever_it_says(script, tmp_path, prompt):
    generator = script("open(HERE + '/said', 'w').write(repr(sys.argv[1:-1])); draw()")
    generator.generate(task(prompt), NEVER)
    assert (tmp_path / "said").read_text() == repr([prompt])
    assert not Path("pwned").exists()


@pytest.mark.parametrize("prompt", ["--output=/etc/passwd", "-rf", "@/etc/passwd"])
def test_a_prompt_alone_is_never_an_option(script, tmp_path, prompt):
    generator = script("open(HERE + '/said', 'w').write(sys.argv[1]); draw()")
    generator.generate(task(prompt), NEVER)
    assert (tmp_path / "said").read_text() == f" {prompt}"


def test_places_within_an_argument_are_filled(script, tmp_path):
    generator = script(
        "open(HERE + '/said', 'w').write(sys.argv[1]); draw(sys.argv[2][5:])",
        "'--text={prompt}, oil {seed}' --to={output}",
    )
    generator.generate(task("a {seed}"), NEVER)
    assert (tmp_path / "said").read_text() == f"--text=a {{seed}}, oil {task().seed}"


def test_each_picture_has_a_new_path_that_is_gone_afterwards(script, tmp_path):
    generator = script("open(HERE + '/said', 'a').write(sys.argv[-1] + '\\n'); draw()")
    for _ in range(2):
        generator.generate(task(), NEVER)
    one, two = (tmp_path / "said").read_text().split()
    assert one != two
    assert not Path(one).parent.exists()
    assert Path(one).is_relative_to(tempfile.gettempdir())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("sys.exit('no\\n\\x1b[31mmodel ' + 'x' * 100_000)", r"ended with status 1: x{190}"),
        ("sys.stderr.write('y\\n' * 10_000_000); sys.exit(3)", "ended with status 3: y$"),
        ("sys.stdout.write('z' * 10_000_000); sys.exit(4)", "ended with status 4$"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("pass", "written no picture"),
        ("os.mkfifo(sys.argv[-1])", "no regular file"),
        ("os.mkdir(sys.argv[-1])", "no regular file"),
        ("os.symlink('/etc/passwd', sys.argv[-1])", "cannot be read"),
    ],
)
def test_a_command_that_fails_is_told_in_one_line(script, source, told):
    with pytest.raises(GenerationFailed, match=told) as caught:
        script(source).generate(task(), NEVER)
    assert caught.value.retryable
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("stubborn", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_cancelled_command_is_killed_with_its_group(script, tmp_path, stubborn):
    os.mkfifo(tmp_path / "started")
    child = f"{stubborn or 'pass'}; time.sleep(600)"
    generator = script(
        f"{stubborn}\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import signal, time; {child}'])\n"
        "open(HERE + '/started', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)"
    )
    cancelled, failed = threading.Event(), []

    def generate():
        with pytest.raises(GenerationFailed, match="was cancelled") as caught:
            generator.generate(task(), cancelled)
        failed.append(caught.value)

    thread = threading.Thread(target=generate)
    thread.start()
    pids = [int(pid) for pid in (tmp_path / "started").read_text().split()]
    assert len(pids) == 2
    cancelled.set()
    thread.join(10)
    assert not failed[0].retryable
    # the child is somebody else's to reap
    deadline = threading.Event()
    for _ in range(200):
        if all(map(gone, pids)):
            break
        deadline.wait(0.05)
    assert all(map(gone, pids))


def test_what_a_failed_command_has_left_running_is_killed(script, tmp_path):
    generator = script(
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(HERE + '/child', 'w').write(str(child.pid)); sys.exit(1)"
    )
    with pytest.raises(GenerationFailed, match="status 1"):
        generator.generate(task(), NEVER)
    pid = int((tmp_path / "child").read_text())
    for _ in range(200):
        if gone(pid):
            break
        threading.Event().wait(0.05)
    assert gone(pid)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("exec:", "does not name"),
        ("exec:   ", "does not name"),
        ("exec:true {prompt}", "does not name {output}"),
        ("exec:draw 'a {output}", "No closing quotation"),
        ("exec:no-such-command-here {prompt} {output}", "'no-such-command-here' is not there"),
        ("exec:/etc/passwd {prompt} {output}", "cannot be run"),
        ("exec:\x1b[2J {output}", "is not there"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_at_opening(given, told):
    with pytest.raises(SettingsInvalid, match=told) as caught:
        open_generator(given)
    assert str(caught.value).isprintable()


def test_a_command_runs_in_the_folder_it_is_named_in(tmp_path):
    from limner.messages import GeneratorSettings

    (tmp_path / "picture.png").write_bytes(PICTURE)
    program = tmp_path / "draw.sh"
    program.write_text('#!/bin/sh\ncp picture.png "$1"\n', "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    tables = {"mine": GeneratorSettings(use="exec:./draw.sh {output}", folder=tmp_path, lane="a")}
    generator = open_generator("mine", tables)
    assert generator.generate(task(), NEVER).data == PICTURE
    assert generator.lane == "a"


@given(st.text())
def test_any_command_is_taken_or_refused_in_one_line(command):
    try:
        open_generator(f"exec:{command}")
    except SettingsInvalid as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
