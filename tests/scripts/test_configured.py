"""What the command takes from the environment and from files of settings."""

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
