"""A pytest plugin: Pykka's own tests, with `PooledActor` in the place of `ThreadingActor`.

Loaded by `./scripts/test` with `-p`, so before Pykka's `tests/conftest.py` takes its names.
"""

from collections import Counter
from importlib.metadata import version

import pykka
import pytest

from limner.actors import PooledActor

started: Counter[str] = Counter()
replaced = pykka.ThreadingActor
register = pykka.ActorRegistry.register


def counting(actor_ref):
    kind = actor_ref.actor_class
    if issubclass(kind, PooledActor):
        started["pooled"] += 1
    elif issubclass(kind, replaced):
        started["threading"] += 1
    register(actor_ref)


pykka.ThreadingActor = PooledActor
pykka.ActorRegistry.register = counting


def pytest_report_header():
    name = f"{PooledActor.__module__}.{PooledActor.__qualname__}"
    return f"actors: {name} in the place of pykka.ThreadingActor, Pykka {version('pykka')}"


def pytest_sessionfinish(session):
    if not started["pooled"] or started["threading"]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(
        f"actors started: {started['pooled']} of PooledActor, {started['threading']} of Pykka's own"
    )
    if not started["pooled"] or started["threading"]:
        terminalreporter.write_line("FAILED: this was not a run of PooledActor alone", red=True)
