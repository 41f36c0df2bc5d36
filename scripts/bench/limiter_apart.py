"""Runs a part of a benchmark in a fresh process, for so long and no longer."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from limner.messages.errors import LimnerError
from limner.scripts.bench.workload import BenchFailed

LIMIT = 900.0
"""Seconds that one part may take before it is given up."""

T = TypeVar("T")


def apart(function: Callable[..., T], *args: Any, limit: float = LIMIT) -> T:
    """Give what a function returns in a process of its own, which ends with it.

    Args:
        function: of a module, so that the other process finds it.
        args: what it is called with.
        limit: seconds that it may take.

    Raises:
        BenchFailed: if it raised, was killed or took longer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, function, args), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(limit):
            raise BenchFailed(f"{function.__name__} took longer than {limit:g} s")
        value, failure = ours.recv()
    except EOFError as error:
        raise BenchFailed(f"the process of {function.__name__} was killed") from error
    finally:
        process.kill()
        process.join()
        ours.close()
    if failure is not None:
        raise BenchFailed(failure)
    done: T = value
    return done


def _run(pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    outcome: tuple[Any, str | None]
    try:
        outcome = function(*args), None
    except LimnerError as error:
        outcome = None, str(error)
    except Exception as error:  # noqa: BLE001  # told to the process that waits for it
        outcome = None, f"{function.__name__}: {type(error).__name__}: {error}"
    pipe.send(outcome)
