"""What the command takes from the environment and from files of settings."""

import sys
from pathlib import Path

import pytest
from support.command_line import clear_environment, completed


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Change to an empty working folder, without settings anywhere."""
    clear_environment(monkeypatch)
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    Path("s.md").write_text("Once.\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMNER_PATTERNS", "[" * 9000),
        ("LIMNER_LANES", '{"a":' * 9000),
        ("", "lanes=" + "[" * 9000),
    ],
)
def test_a_deeply_nested_value_is_one_line(monkeypatch, name, value):
    if name:
        monkeypatch.setenv(name, value)
    else:
        Path("limner.toml").write_text(value, "utf-8")
    done = completed("illustrate", "s.md")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert b"nested too deeply" in line
    assert len(line) < 300


def test_a_variable_that_is_no_setting_is_one_line_and_no_failure(monkeypatch):
    monkeypatch.setenv("LIMNER_SLOTZ", "2")
    done = completed("illustrate", "s.md")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        b"the environment variable LIMNER_SLOTZ is no setting, and is ignored;"
        b" did you mean LIMNER_SLOTS?"
    )


TAG = '<!--img-prompt="a red door; touch pwned"-->'
DRAW = """
import sys
from limner import PictureBytes
from limner.actors.generators import Instant

def draw(task, cancelled):
    return Instant().generate(task, cancelled)

if __name__ == "__main__":
    open(sys.argv[2], "wb").write(draw(None, None).data)
    open(sys.argv[2] + ".said", "w").write(sys.argv[1])
"""


@pytest.fixture
def story():
    Path("s.md").write_text(f"Once. {TAG}\n", "utf-8")
    Path("my_drawing.py").write_text(DRAW, "utf-8")
    return "s.md"


@pytest.mark.parametrize(
    "generator",
    ["my_drawing:draw", f"exec:{sys.executable} my_drawing.py {{prompt}} {{output}}"],
)
def test_the_command_line_may_name_a_module_or_a_command(story, generator):
    done = completed("illustrate", story, "--generator", generator)
    assert done.returncode == 0, done.stderr
    assert b"![" in Path("s.illustrated.md").read_bytes()
    assert len(list(Path("pictures").iterdir())) == 1
    assert not Path("pwned").exists()


def test_a_generator_of_the_user_is_chosen_by_the_working_folder(story, folder):
    own = folder / "home" / "limner"
    own.mkdir()
    Path("my_drawing.py").rename(own / "my_drawing.py")
    (own / "config.toml").write_text("[generators.mine]\nuse = 'my_drawing:draw'\n", "utf-8")
    Path("limner.toml").write_text("generator = 'mine'", "utf-8")
    done = completed("illustrate", story)
    assert done.returncode == 0, done.stderr


def test_what_lies_in_the_working_folder_runs_nothing(story):
    Path("limner.toml").write_text("generator = 'exec:touch pwned {output}'", "utf-8")
    done = completed("illustrate", story)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert b"lies in the working folder" in line
    assert not Path("pwned").exists()
    assert not Path("s.illustrated.md").exists()
    assert completed("illustrate", story, "--config", "limner.toml").returncode == 3
    assert Path("pwned").exists()


@pytest.mark.parametrize("given", ["gone:draw", "exec:gone-command {output}", "exec:'", "nobody"])
def test_a_generator_that_is_not_there_is_one_line(story, given):
    done = completed("illustrate", story, "--generator", given)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(b"limner: generator: ")
