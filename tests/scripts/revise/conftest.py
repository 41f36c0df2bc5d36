from pathlib import Path

import pytest
from support.command_line import clear_environment


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    clear_environment(monkeypatch)
    return tmp_path
