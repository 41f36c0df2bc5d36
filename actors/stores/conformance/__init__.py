"""A suite that shows whether a store keeps its promises, for the tests of hosts."""

from limner.actors.stores.conformance.fixtures import Finished, Trial
from limner.actors.stores.conformance.suite import Check, check_store, checks

__all__ = ["Check", "Finished", "Trial", "check_store", "checks"]
