"""The README's example is run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

README = Path(__file__).parent.parent / "README.md"


def test_the_embedding_example_runs_as_it_stands(tmp_path):
    code = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)[0]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (picture,) = (tmp_path / "pictures").iterdir()
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert f'src="pictures/{picture.name}"' in done.stdout
    assert (tmp_path / "chat.db").exists()
