"""What holds for all tests."""

import pytest
from hypothesis import is_hypothesis_test, settings
from support.checked_events import MISMATCHES, check_what_is_sent

# a time limit of an example would be a timed assertion
settings.register_profile("limner", settings(deadline=None))
settings.load_profile("limner")


def pytest_addoption(parser):
    parser.addoption(
        "--examples-times",
        type=int,
        default=1,
        metavar="N",
        help="run each hypothesis property alone, with N times its examples",
    )


def pytest_collection_modifyitems(config, items):
    """Multiply the examples of the properties, and leave all other tests out."""
    times = config.getoption("--examples-times")
    if times == 1:
        return
    properties = [item for item in items if is_hypothesis_test(item.obj)]
    config.hook.pytest_deselected(items=[item for item in items if item not in properties])
    items[:] = properties
    for test in {item.obj for item in properties}:
        own = test._hypothesis_internal_use_settings
        test._hypothesis_internal_use_settings = settings(
            own, max_examples=times * own.max_examples
        )


@pytest.fixture(autouse=True, scope="session")
def events_are_checked():
    """Check each event that any test has sent against the catalogue."""
    with pytest.MonkeyPatch.context() as patch:
        check_what_is_sent(patch)
        yield


@pytest.fixture(autouse=True)
def event_mismatches(events_are_checked):
    """Fail a test while which an event was sent that is not as the catalogue has it."""
    MISMATCHES.clear()
    yield MISMATCHES
    assert not MISMATCHES, "events are sent that the catalogue does not know like this"
