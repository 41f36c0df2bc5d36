"""What holds for all tests."""

import pytest
from hypothesis import settings
from support.checked_events import MISMATCHES, check_what_is_sent

# a time limit of an example would be a timed assertion
settings.register_profile("limner", settings(deadline=None))
settings.load_profile("limner")


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
