"""The README's examples are run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

README = Path(__file__).parent.parent / "README.md"


def example(holding, folder, rest=""):
    """Run the README's first example that holds a text, then the rest; give what is printed."""
    codes = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            next(code for code in codes if holding in code) + rest,
        ],
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


SERVED = """
import asyncio, sys
studio.illustrate("m", '<!--img-prompt="a lamp"-->').get(timeout=60)
url = next(iter(studio.registry("m").links)).placement.picture.url
assert f'src="{url}"' in studio.text("m")
"""
WITH_FLASK = """
for path, status in (url, 200), ("/pictures/../chat.db", 404), ("/pictures/no.png", 404):
    assert app.test_client().get(path).status_code == status
print(len(app.test_client().get(url).data))
studio.close()
"""
WITH_FASTAPI = """
async def get(path):
    sent, scope = [], {"type": "http", "method": "GET", "path": path, "headers": []}
    scope["query_string"] = b""
    async def receive():
        await asyncio.Event().wait()  # the reader stays
    async def send(message):
        sent.append(message)
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)
for path, status in (url, 200), ("/pictures/../chat.db", 404), ("/pictures/no.png", 404):
    assert asyncio.run(get(path))[0] == status
print(len(asyncio.run(get(url))[1]))
studio.close()
"""


@pytest.mark.parametrize(
    ("holding", "rest"), [("import Flask", WITH_FLASK), ("import FastAPI", WITH_FASTAPI)]
)
def test_the_examples_of_serving_serve_pictures_alone(holding, rest, tmp_path):
    length = int(example(holding, tmp_path, SERVED + rest))
    (picture,) = (tmp_path / "pictures").iterdir()
    assert picture.stat().st_size == length


def test_the_example_of_limits_runs_as_it_stands(tmp_path):
    said = example("limiter.collect(", tmp_path).splitlines()
    assert said[0] == "[1] [0, 1, 2, 3]"
    assert "'granted': 1" in said[1]
