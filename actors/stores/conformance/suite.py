"""A suite that shows whether a store keeps its word; a host runs it in its own tests.

With pytest, one test a check, each on a place of its own:

    from limner.actors.stores.conformance import checks

    @pytest.mark.parametrize("check", checks(), ids=str)
    def test_my_store_keeps_its_word(check, tmp_path):
        check(lambda: MyStore(tmp_path))

Without it, `check_store` runs them all. A check raises an `AssertionError` that says in a sentence
what was promised, and what the store did. What a registry has to hold after each step is what
`limner.messages.registry.Registry` makes of the same step.

What is left for a host to write is shown in `limner.actors.stores.documents`: it passes this suite.
"""

from collections.abc import Callable

from limner.actors.stores.conformance import documents, forgetting, texts
from limner.actors.stores.conformance import registry as registries
from limner.actors.stores.conformance.fixtures import IDS, Check
from limner.actors.stores.protocol import Store

__all__ = ["Check", "check_store", "checks"]


def checks(*, creates: bool = True, durable: bool = True, registry: bool = True) -> list[Check]:
    """Return the checks for a store.

    Args:
        creates: whether a message that is not there can be written.
        durable: whether what was written outlives the store.
        registry: whether it is a `RegistryStore`.
    """
    has = {"creates": creates, "durable": durable, "registry": registry}
    return [
        check
        for promised in (texts, registries, forgetting, documents)
        for check in vars(promised).values()
        if isinstance(check, Check) and all(has[need] for need in check.needs)
    ]


def check_store(
    place: Callable[[], Callable[[], Store]],
    *,
    creates: bool = True,
    durable: bool = True,
    registry: bool = True,
    ids: tuple[str, str] = IDS,
) -> None:
    """Check all that a store promises.

    Args:
        place: gives a new place, as what opens a store on it; called for each check.
        creates: as for `checks`.
        durable: as for `checks`.
        registry: as for `checks`.
        ids: of two messages that the checks may write. Where messages can be created, ids that
            are the first one with digits after it are written too, and such as look like it.

    Raises:
        AssertionError: if promises are not kept; it names each one, a line each.
    """
    broken = []
    for check in checks(creates=creates, durable=durable, registry=registry):
        try:
            check(place(), ids=ids)
        except AssertionError as error:
            broken.append(f"{check}: {error}")
    if broken:
        raise AssertionError("\n".join(broken))
