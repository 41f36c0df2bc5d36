"""What holds for all tests."""

from hypothesis import settings

# a time limit of an example would be a timed assertion
settings.register_profile("limner", settings(deadline=None))
settings.load_profile("limner")
