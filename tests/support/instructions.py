"""What a call costs, whatever the machine does besides."""

import sys


def steps_of(call):
    """Count the instructions that a call takes."""
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
