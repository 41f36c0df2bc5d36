"""The README's examples are run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

README = Path(__file__).parent.parent / "README.md"


def example(holding, folder):
    """Run the first example of the README that holds a text, and give what it prints."""
    codes = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", next(code for code in codes if holding in code)],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_simulated_time_runs_as_it_stands(tmp_path):
    pictures, now = example("SimulatedSystem", tmp_path).split()
    assert pictures == "1"
    assert 600_000_000 <= int(now) < 601_000_000


def test_the_embedding_example_runs_as_it_stands(tmp_path):
    said = example("with Studio.open(", tmp_path)
    (picture,) = (tmp_path / "pictures").iterdir()
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert f'src="pictures/{picture.name}"' in said
    assert (tmp_path / "chat.db").exists()


def test_the_example_of_limits_runs_as_it_stands(tmp_path):
    said = example("limiter.collect(", tmp_path).splitlines()
    assert said[0] == "[1] [0, 1, 2, 3]"
    assert "'granted': 1" in said[1]
