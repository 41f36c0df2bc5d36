"""What the tests of the simulated system share."""

import threading
from contextlib import closing

import pykka
import pytest

from limner.actors import SimulatedSystem


@pytest.fixture
def system():
    threads = set(threading.enumerate())
    with closing(SimulatedSystem(1)) as system, system:
        system.workers.open_pool("lane", 2)
        yield system
    assert set(threading.enumerate()) <= threads
    assert pykka.ActorRegistry.get_all() == []
