"""`limner events` and `limner settings`: what they print is what there is."""

import json
import os
import pty
import subprocess
import sys

import pytest
from pydantic import TypeAdapter
from support.command_line import COMMAND, completed

from limner.messages.events.catalogue import EVENTS
from limner.messages.generator_settings import GeneratorSettings
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.scripts.app import run
from limner.scripts.reference.settings import MODELS, settings_of

SETTINGS = [setting for of, model in MODELS.items() for setting in settings_of(of, model)]


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


# --- events ---


def test_all_events_are_printed_with_their_fields_within_80_columns(capsys):
    assert run(["events"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for event in EVENTS.values():
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{event.name} ("))
        entry = "\n".join(lines[start:]).partition("\n\n")[0]
        said = " ".join(entry.split())
        assert event.meaning in said
        for field in event.fields:
            assert f"- {field.name} (" in said
            assert field.meaning in said


def test_an_event_is_printed_by_its_name(capsys):
    assert run(["events", "generation_retried"]) == 0
    assert capsys.readouterr().out == (
        "generation_retried (from processor)\n"
        "    A task pauses after a failed call, and then requests a slot again.\n"
        "    - session_id (string): The session.\n"
        "    - message_id (string): The message, by the host's name for it.\n"
        "    - task_id (string): The task: one request for one picture, or a call of a\n"
        "        host.\n"
        "    - delay (number, seconds): How long it pauses.\n"
    )


def test_all_events_are_json(capsys):
    assert run(["events", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [event["name"] for event in said["events"]] == list(EVENTS)
    assert [field["name"] for field in said["every_line"]] == ["seq", "t", "at", "actor", "event"]


def test_an_event_is_json_by_its_name(capsys):
    assert run(["events", "session_sealed", "--json"]) == 0
    (event,) = json.loads(capsys.readouterr().out)["events"]
    assert event["conversation"] == "A message's session"
    assert event["sent_by"] == ["monitor", "session"]
    assert event["fields"][2] == {
        "name": "reason",
        "type": "string",
        "values": ["complete", "interrupted", "timed_out"],
        "unit": None,
        "always": True,
        "meaning": "Why no more text or requests come.",
    }


# --- settings ---


def test_each_setting_of_each_model_is_there_with_its_docstring():
    assert [setting.name for setting in SETTINGS] == [
        *Settings.model_fields,
        *LaneSettings.model_fields,
        *GeneratorSettings.model_fields,
    ]
    for setting in SETTINGS:
        assert setting.meaning.endswith("."), setting.name


def test_each_setting_is_printed_with_its_docstring_within_80_columns(capsys):
    assert run(["settings"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    said = " ".join(out.split())
    for setting in SETTINGS:
        assert f"{setting.name} ({setting.type}" in said
        assert " ".join(setting.meaning.split()) in said


def test_a_setting_is_printed_by_its_name_of_a_studio_and_of_a_lane(capsys):
    assert run(["settings", "lease"]) == 0
    lines = capsys.readouterr().out.splitlines()
    wanted = "lease (number, seconds, 0.1 to 86,400; by default 600)"
    assert [line for line in lines if line.startswith("lease")] == [wanted] * 2


def test_settings_are_json(capsys):
    assert run(["settings", "slots", "strategy", "--json"]) == 0
    slots, strategy = json.loads(capsys.readouterr().out)["settings"]
    assert {**slots, "meaning": ""} == {
        "name": "slots",
        "of": "studio",
        "type": "integer",
        "unit": None,
        "bounds": {"minimum": 1, "maximum": 1_000},
        "default": 3,
        "meaning": "",
    }
    assert strategy["of"] == "lane"
    assert strategy["bounds"]["enum"] == ["leak", "overflow_priority", "overflow", "block"]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: f"{setting.of}-{setting.name}")
def test_the_bounds_and_the_default_are_those_that_hold(setting):
    model = MODELS[setting.of]
    field = model.model_fields[setting.name]
    default = field.get_default(call_default_factory=True)
    assert TypeAdapter(model).dump_python(model(), mode="json")[setting.name] == setting.default
    for bound, beyond in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1)):
        if bound in setting.bounds:
            with pytest.raises(ValueError, match=setting.name):
                model(**{setting.name: setting.bounds[bound] + beyond})
    assert ("null" in setting.type) >= (default is None)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("grace", "seconds"), ("max_text", "characters"), ("max_picture_bytes", "bytes"),
     ("max_picture_pixels", "pixels"), ("slots", None), ("store", None)],
)  # fmt: skip
def test_a_setting_has_its_unit(name, unit):
    assert next(setting for setting in SETTINGS if setting.name == name).unit == unit


def test_without_source_a_setting_is_printed_without_its_docstring(monkeypatch, capsys):
    def getsource(model):
        raise OSError("could not get source code")

    monkeypatch.setattr("inspect.getsource", getsource)
    assert run(["settings", "slots"]) == 0
    assert "slots (integer, 1 to 1,000; by default 3)" in capsys.readouterr().out


# --- both ---


@pytest.mark.parametrize(
    ("command", "name", "says"),
    [
        ("events", "slot_grnted", "there is no event 'slot_grnted'; did you mean 'slot_granted'?"),
        ("events", "SLOT_GRANTED", "did you mean 'slot_granted'?"),
        ("settings", "max_waits", "there is no setting 'max_waits'; did you mean 'max_wait'?"),
        (
            "settings",
            "\x1b[31mqqq\n\udc80",
            "no setting 'qqq'; limner settings prints all",
        ),
        ("events", "x" * 10_000, "; limner events prints all"),
        ("events", "", "there is no event ''; limner events prints all"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_unknown_name_is_wrong_use_and_gets_one_line_with_the_nearest(
    capsys, command, name, says, form
):
    assert run([command, name, *form]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert len(err) < 200
    assert err.strip().isprintable()


@pytest.mark.parametrize("command", ["events", "settings"])
def test_nothing_is_loaded_that_only_a_studio_needs(command):
    script = (
        "import sys; from limner.scripts.app import run; run([sys.argv[1]]); "
        "print([name for name in ('limner.actors', 'sqlalchemy', 'PIL', 'structlog', 'requests')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, command], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["events", "settings"])
def test_a_reader_that_leaves_gets_no_traceback(command):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, command], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("command", ["events", "settings"])
def test_a_pipe_and_a_terminal_get_the_same(command):
    piped = completed(command)
    assert piped.returncode == 0
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, command], stdout=theirs) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: read_end(ours), b""))
    assert process.returncode == 0
    os.close(ours)
    assert shown.replace(b"\r\n", b"\n") == piped.stdout


def read_end(terminal):
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux tells that the other end is closed
        return b""


def test_a_narrow_terminal_gets_narrow_lines(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "50")
    assert run(["events"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 50
