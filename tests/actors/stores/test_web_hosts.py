"""A web host whose texts would refer to pictures by `file:` is warned as it opens."""

import subprocess
import sys

import pytest

from limner.actors.stores.web_hosts import FRAMEWORKS, web_framework

OPEN = """
import logging, sys
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
{imports}
from limner import Settings, Studio
with Studio.open(Settings(store="memory:", **{settings})):
    pass
"""


def opened(imports, **settings):
    """Return what a host that opens a studio says on standard error."""
    code = OPEN.format(imports=imports, settings=settings)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stderr


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_a_web_host_with_an_absolute_folder_is_warned(framework, tmp_path):
    said = opened(f"import {framework}", pictures=str(tmp_path / "pictures"))
    assert said.startswith("limner WARNING")
    assert f"{tmp_path.as_uri()}/pictures" in said
    assert "pictures_url" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("imports", "settings"),
    [
        ("import flask", {"pictures": "/nowhere", "pictures_url": "/pictures/"}),
        ("import flask", {"pictures": "pictures"}),
        ("", {"pictures": "/nowhere"}),
    ],
    ids=["it has a URL", "the folder is relative", "no web framework"],
)
def test_no_other_host_is_warned(imports, settings):
    assert opened(imports, **settings) == ""


def test_a_url_that_is_given_as_a_file_is_told_too():
    assert "FILE:///x/" in opened("import flask", pictures="p", pictures_url="FILE:///x")


def test_each_framework_is_known_by_its_module():
    assert [web_framework({name}) for name in FRAMEWORKS] == list(FRAMEWORKS)
    assert web_framework({"os", "flask_login"}) is None
