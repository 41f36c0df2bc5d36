"""Runs a part of a benchmark in a fresh process, so that no part affects another."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from limner.messages.errors import LimnerError
from limner.scripts.bench.workload import BenchFailed

LIMIT = 900.0
"""Seconds that one part may take before it is killed."""

T = TypeVar("T")


def apart(function: Callable[..., T], *args: Any, limit: float | None = LIMIT, **named: Any) -> T:
    """Return the result of a function that is called in a process of its own.

    Args:
        function: of a module, so that the other process finds it.
        args: its arguments.
        limit: seconds that it may take; without a limit if `None`.
        named: its arguments by name.

    Raises:
        LimnerError: if the function raised one.
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
    result: T = value
    return result


def _run(
    pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    answer: tuple[Any, LimnerError | None]
    try:
        answer = function(*args, **named), None
    except LimnerError as error:
        answer = None, error
    except Exception as error:  # noqa: BLE001  # sent to the waiting process
        answer = None, BenchFailed(f"{function.__name__}: {type(error).__name__}: {error}")
    pipe.send(answer)
