"""The small hosts, each as a process of its own, over a real socket."""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image

FOLDER = Path(__file__).parents[3] / "scripts" / "examples"
HOSTS = ["flask_host", "fastapi_host"]

RUN = """
import re, sys, threading, time
from pathlib import Path
source = Path(sys.argv[1]).read_text("utf-8")
assert "port=8000" in source
model = sys.argv[3]
if model:
    source = re.sub("(?m)^MODEL = .*$", lambda _: model, source)
source = source.replace("port=8000", f"port={sys.argv[2]}")
exec(compile(source, sys.argv[1], "exec"), {"__name__": "__main__"})
"""
"""Runs a host on a port of its own, perhaps with another model; all else as it stands."""

SLOW = """
import time
class Waiting:
    def __iter__(self):
        yield 'One. <!--img-prompt="a lighthouse"-->'
        yield ' Two. <!--img-prompt="a gull"-->'
        for _ in range(60):
            time.sleep(0.05)  # the model is slow; pictures come meanwhile
            yield "."
MODEL = Waiting()
"""

FAILING = """
def failing():
    yield 'One. <!--img-prompt="a lighthouse"-->'
    raise ConnectionError("the model is gone")
MODEL = failing()
"""


def free_port():
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def running(name, folder, model=""):
    """Run a host; give its port and its process."""
    port = free_port()
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, FOLDER / f"{name}.py", str(port), model],
            cwd=folder,
            env=os.environ,
            stdout=errors,
            stderr=errors,
        )
    try:
        wait_for(port, process)
        yield port, process
    finally:
        process.kill()
        process.wait()


def wait_for(port, process):
    for _ in range(2_400):
        assert process.poll() is None
        with closing(socket.socket()) as one:
            one.settimeout(0.1)
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        process.poll() is None and signal.sigtimedwait([], 0.05)
    raise AssertionError("the host does not listen")


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    return connection, connection.getresponse()


def events(answer):
    """Yield what a host says, as it comes."""
    while line := answer.readline():
        if line.startswith(b"data: "):
            yield json.loads(line[len(b"data: ") :])


def kinds(said):
    return [next(kind for kind in ("text", "picture", "done") if kind in event) for event in said]


def stored(folder):
    with closing(sqlite3.connect(folder / "chat.db")) as database:
        return [text for (text,) in database.execute("SELECT text FROM limner_messages")]


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_has_forty_lines_at_most(name):
    assert len((FOLDER / f"{name}.py").read_text("utf-8").splitlines()) <= 40


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_imports_from_the_door_alone(name):
    source = (FOLDER / f"{name}.py").read_text("utf-8")
    assert re.findall(r"(?m)^(?:from|import) limner\S*", source) == ["from limner"]


@pytest.mark.parametrize("name", HOSTS)
def test_text_comes_first_then_each_picture_then_the_whole(name, tmp_path):
    with running(name, tmp_path) as (port, _):
        connection, answer = get(port, "/reply")
        said = list(events(answer))
        connection.close()
        assert kinds(said) == ["text"] * 4 + ["picture", "done"]
        picture = said[-2]["picture"]
        assert said[-2]["prompt"] == "a lighthouse, storm"
        assert picture["url"] in said[-1]["done"]
        connection, answer = get(port, picture["url"])
        data = answer.read()
        connection.close()
        assert answer.headers["Content-Type"] == picture["media_type"]
    (file,) = (tmp_path / "pictures").iterdir()
    assert data == file.read_bytes()
    with Image.open(file) as image:
        assert Image.MIME[image.format] == picture["media_type"]
    assert stored(tmp_path) == [said[-1]["done"]]


@pytest.mark.parametrize("name", HOSTS)
def test_pictures_come_while_the_text_still_streams(name, tmp_path):
    with running(name, tmp_path, SLOW) as (port, _):
        connection, answer = get(port, "/reply")
        said = kinds(events(answer))
        connection.close()
    assert said.count("picture") == 2
    assert said[-1] == "done"
    last = max(index for index, kind in enumerate(said) if kind == "text")
    assert said.index("picture") < last


@pytest.mark.parametrize("name", HOSTS)
def test_a_reader_that_goes_stops_its_reply(name, tmp_path):
    with running(name, tmp_path, SLOW.replace("60", "400")) as (port, process):
        connection, answer = get(port, "/reply")
        assert "text" in next(events(answer))
        answer.close()
        connection.close()
        for _ in range(300):
            if texts := stored(tmp_path):
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
    (text,) = texts
    assert text.startswith("One.")
    assert text.count(".") < 400


@pytest.mark.parametrize("name", HOSTS)
def test_a_model_that_fails_leaves_what_it_has_written(name, tmp_path):
    with running(name, tmp_path, FAILING) as (port, process):
        connection, answer = get(port, "/reply")
        said = []
        with suppress(http.client.HTTPException):  # the answer is cut
            said.extend(events(answer))
        connection.close()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert said[0] == {"text": 'One. <!--img-prompt="a lighthouse"-->'}
    (text,) = stored(tmp_path)
    assert text.startswith("One.")


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_that_is_ended_writes_its_open_texts(name, tmp_path):
    with running(name, tmp_path, SLOW) as (port, process):
        connection, answer = get(port, "/reply")
        assert "text" in next(events(answer))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, 130, -signal.SIGINT}
        connection.close()
    (text,) = stored(tmp_path)
    assert text.startswith("One.")


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_serves_pictures_alone(name, tmp_path):
    with running(name, tmp_path) as (port, _):
        for path in ("../chat.db", "..%2fchat.db", "%2e%2e/chat.db", "/etc/passwd", "no.png"):
            connection, answer = get(port, f"/pictures/{path}")
            body = answer.read()
            connection.close()
            assert answer.status in {308, 400, 404}
            assert b"SQLite" not in body
