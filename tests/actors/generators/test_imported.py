"""A generator that is named by its module."""

import sys
import threading

import pytest

from limner.actors.generators import open_generator
from limner.messages import GeneratorSettings
from limner.messages.errors import SettingsInvalid
from limner.messages.tasks import Task

TASK = Task(id="t", session_id="s", message_id="m", prompt_id="p", prompt="a boat")
SOURCE = """
from limner import PictureBytes

def draw(task, cancelled):
    return PictureBytes(data=task.prompt.encode())

class Drawer:
    def generate(self, task, cancelled):
        return draw(task, cancelled)

class Needs:
    def __init__(self, model):
        pass

class Space:
    inner = Drawer()

seven = 7
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "drawn_here.py").write_text(SOURCE, "utf-8")
    (tmp_path / "broken_here.py").write_text("raise KeyError('a\\nb')", "utf-8")
    (tmp_path / "leaving_here.py").write_text("raise SystemExit(3)", "utf-8")
    (tmp_path / "json.py").write_text("raise KeyError('shadowed')", "utf-8")
    yield tmp_path
    sys.modules.pop("drawn_here", None)


def opened(name, folder):
    return open_generator("it", {"it": GeneratorSettings(use=name, folder=folder)})


@pytest.mark.parametrize("name", ["draw", "Drawer", "Space.inner", "Space.inner.generate"])
def test_a_callable_an_object_or_a_class_of_a_module_draws(folder, name):
    generator = opened(f"drawn_here:{name}", folder)
    assert generator.generate(TASK, threading.Event()).data == b"a boat"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone_from_here:draw", "'gone_from_here' cannot be imported: ModuleNotFoundError"),
        ("broken_here:draw", "'broken_here' cannot be imported: KeyError"),
        ("leaving_here:draw", "'leaving_here' cannot be imported: SystemExit: 3"),
        ("drawn_here:drow", "'drawn_here' has no 'drow'"),
        ("drawn_here:draw.x.y", "has no 'draw.x.y'"),
        ("drawn_here:seven", "makes no pictures"),
        ("drawn_here:Needs", "calling it without arguments failed: TypeError"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(folder, name, told):
    with pytest.raises(SettingsInvalid, match=told) as caught:
        opened(name, folder)
    assert "\n" not in str(caught.value)


def test_a_folder_stands_for_no_module_that_is_installed(folder):
    sys.modules.pop("json", None)
    with pytest.raises(SettingsInvalid, match="'json' has no 'draw'"):
        opened("json:draw", folder)


def test_a_host_names_what_python_finds(folder, monkeypatch):
    with pytest.raises(SettingsInvalid, match="cannot be imported"):
        open_generator("drawn_here:draw")
    monkeypatch.syspath_prepend(folder)
    assert open_generator("drawn_here:draw").generate(TASK, threading.Event()).data == b"a boat"
