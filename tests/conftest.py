"""What holds for all tests."""

import pytest
from hypothesis import is_hypothesis_test, settings
from support.checked_events import MISMATCHES, check_what_is_sent

# a time limit of an example would be a timed assertion; examples that differ from run to run would
# let a test fail by luck: new ones are tried with --examples-times
settings.register_profile("limner", settings(deadline=None, derandomize=True))
settings.load_profile("limner")

QUICK_SHARE = 4


def pytest_addoption(parser):
    parser.addoption(
        "--examples-times",
        type=int,
        default=1,
        metavar="N",
        help="run each hypothesis property alone, with N times its examples, new ones in each run",
    )
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out what is marked as long, and try fewer examples of each property",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long, or is one of many; not with --quick")


def pytest_collection_modifyitems(config, items):
    """Choose the tests, and change the number of examples of the properties."""
    times = config.getoption("--examples-times")
    if times > 1:
        _choose(config, items, lambda item: is_hypothesis_test(item.obj))
        _change_examples(items, lambda number: times * number, derandomize=False)
    elif config.getoption("--quick"):
        _choose(config, items, lambda item: item.get_closest_marker("long") is None)
        _change_examples(items, lambda number: -(-number // QUICK_SHARE))


def _choose(config, items, wanted):
    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = [item for item in items if wanted(item)]


def _change_examples(items, change, **others):
    places = {
        # a state machine's settings are its class's
        (item.cls, "settings")
        if hasattr(item.obj, "_hypothesis_state_machine_class")
        else (getattr(item.obj, "__func__", item.obj), "_hypothesis_internal_use_settings")
        for item in items
        if is_hypothesis_test(item.obj)
    }
    for place, name in places:
        own = getattr(place, name)
        setattr(place, name, settings(own, max_examples=change(own.max_examples), **others))


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
