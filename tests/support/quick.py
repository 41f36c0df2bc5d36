"""What a quick run takes of many cases."""

import pytest


def first_is_quick(cases, number=1):
    """Return cases for `parametrize`, of which a quick run takes the first ones alone."""
    return [
        case if index < number else pytest.param(case, marks=pytest.mark.long)
        for index, case in enumerate(cases)
    ]
