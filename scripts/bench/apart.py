"""Runs a part of a benchmark in a fresh process, so that none warms or burdens another."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from limner.messages.errors import LimnerError
from limner.scripts.bench.workload import BenchFailed

LIMIT = 900.0
"""Seconds that one part may take before it is given up."""

T = TypeVar("T")


def apart(function: Callable[..., T], *args: Any, limit: float | None = LIMIT, **named: Any) -> T:
    """Give what a function returns in a process of its own, which ends with it.

    Args:
        function: of a module, so that the other process finds it.
        args: what it is called with.
        limit: seconds that it may take; `None` for as long as it wants.
        named: what it is called with, by name.

    Raises:
        LimnerError: what it raised of these.
        BenchFailed: if it raised anything else, was killed or took longer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, function, args, named), daemon=True)
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
        raise failure
    done: T = value
    return done


def _run(
    pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    outcome: tuple[Any, LimnerError | None]
    try:
        outcome = function(*args, **named), None
    except LimnerError as error:
        outcome = None, error
    except Exception as error:  # noqa: BLE001  # told to the process that waits for it
        outcome = None, BenchFailed(f"{function.__name__}: {type(error).__name__}: {error}")
    pipe.send(outcome)
