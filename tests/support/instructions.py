"""What a call costs, whatever the machine does besides."""

import sys
import threading

TOOL = 4
"""The tool of `sys.monitoring` that counts; those below are a debugger's and coverage's."""


def steps_of(call):
    """Count the instructions that a call takes on this thread."""
    # a trace function sees no instruction of what was compiled before, from Python 3.12 on
    return _monitored(call) if sys.version_info >= (3, 12) else _traced(call)


def _monitored(call):
    number, own = 0, threading.get_ident()

    def count(_code, _offset):
        nonlocal number
        number += threading.get_ident() == own

    monitoring = sys.monitoring
    monitoring.use_tool_id(TOOL, "steps_of")
    try:
        monitoring.register_callback(TOOL, monitoring.events.INSTRUCTION, count)
        monitoring.set_events(TOOL, monitoring.events.INSTRUCTION)
        try:
            call()
        finally:
            monitoring.set_events(TOOL, 0)
            monitoring.register_callback(TOOL, monitoring.events.INSTRUCTION, None)
    finally:
        monitoring.free_tool_id(TOOL)
    return number


def _traced(call):
    number = 0

    def trace(frame, event, _arg):
        nonlocal number
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        number += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return number


def grows_in_proportion(call, size):
    """Return whether a call takes four times the instructions on what is four times as large.

    Args:
        call: is given the size.
        size: the smaller one; large enough that what is done once for all matters little.
    """
    return steps_of(lambda: call(4 * size)) < 6 * steps_of(lambda: call(size))
