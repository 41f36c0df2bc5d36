"""The commands that only read, on files that may not be written."""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.illustrated import MESSAGES, PICTURE, chat, contents, story

from limner.scripts.app import run

ID = re.compile(r":[0-9a-f]{32}|\\b[0-9a-f]{32}")  # a new picture is another one each time

READING = """
import os, sys
from limner.scripts.app import run

def read():
    for arguments in (
        ["pictures", name],
        ["pictures", "--json", name],
        ["clean", "--dry-run", name],
        ["reconcile", "--dry-run", name],
        ["regenerate", "--dry-run", name, "1"],
    ):
        print(arguments, run(arguments), flush=True)

name = sys.argv[1]
read()
print("and again", flush=True)
os.chmod(".", 0o555)
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
read()
"""


@pytest.mark.parametrize("name", ["story.md", "chat.jsonl"])
def test_reading_needs_no_place_to_write_to(monkeypatch, name):
    with TemporaryDirectory() as home:
        monkeypatch.chdir(home)
        if name == "story.md":
            file = story()
            file.write_text(PICTURE.sub("", file.read_text(), count=1))
        else:
            chat(name, *MESSAGES)
            assert run(["illustrate", "-q", name]) == 0
        before = contents(Path(home))
        done = subprocess.run(
            [sys.executable, "-c", READING, name],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        Path(home).chmod(0o755)
        said, again = done.stdout.split("and again\n")
        assert ID.sub("", again) == ID.sub("", said)
        assert said.count("] 0\n") == 5
        assert "Traceback" not in done.stderr
        assert contents(Path(home)) == before
        monkeypatch.undo()  # out of what is removed
