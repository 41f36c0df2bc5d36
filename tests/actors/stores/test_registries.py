"""Whatever is done to a message, each store knows of it what the pure `Registry` says."""

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.actors.stores.conformance import Check
from limner.actors.stores.conformance.fixtures import Finished, Followed, Trial, equal, in_html
from limner.messages.pictures import Placement
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry, RegistryUpdate

NUMBERS = st.integers(0, 2)
WORDS = st.sampled_from(["a boat", "the “sea” 海", "' OR 1=1 --\n"])
PLACES = st.lists(st.tuples(st.integers(0, 5), NUMBERS), max_size=4)
WRITES = st.fixed_dictionaries(
    {
        "placed": PLACES,
        "removed": PLACES,
        "marks": PLACES,
        "prompts": st.lists(st.integers(0, 5), max_size=3),
        "claims": st.none() | st.lists(st.tuples(st.integers(0, 5), WORDS), max_size=3),
        "anew": st.booleans(),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("find"), WORDS, NUMBERS),
        st.tuples(st.just("refine"), st.integers(0, 5), WORDS, st.none() | WORDS),
        st.tuples(st.just("keep"), st.integers(0, 5), NUMBERS),
        st.tuples(st.just("write"), WRITES),
        st.tuples(st.just("conflict"), WRITES),
        st.tuples(st.just("reopen")),
    ),
    min_size=1,
    max_size=12,
)
message = count()


class Drawn:
    """A message that drawn steps are taken on, in a store and in the pure value."""

    def __init__(self, trial: Trial) -> None:
        self.known = Followed(trial, f"message-{next(message)}.md")
        self.known.write("once")
        self.prompts = [self.known.prompt("found first")]

    def prompt(self, number: int) -> Prompt:
        return self.prompts[number % len(self.prompts)]

    def placement(self, place: tuple[int, int]) -> Placement:
        number, picture = place
        finished = Finished.of(self.prompt(number), picture)
        for link in self.known.value.links:
            if link.placement.id == finished.placement.id:
                return link.placement
        return finished._replace(picture=self.known.elsewhere(picture)).placement

    def links(self, drawn: dict[str, Any]) -> tuple[str, RegistryUpdate]:
        claims = drawn["claims"]
        links = RegistryUpdate(
            placed=tuple(map(self.placement, drawn["placed"])),
            removed=tuple(self.placement(place).id for place in drawn["removed"]),
            prompts=tuple(map(self.prompt, drawn["prompts"])),
            claims=claims
            and tuple(
                TagOwner(prompt_id=self.prompt(number).id, text=text, ordinal=number)
                for number, text in claims
            ),
            anew=drawn["anew"],
        )
        return in_html(*map(self.placement, drawn["marks"])), links

    def take(self, step: tuple[Any, ...]) -> None:
        known = self.known
        match step:
            case "find", text, ordinal:
                self.prompts.append(known.add(known.prompt(text, ordinal)))
            case "refine", number, text, feedback:
                child = self.prompt(number).refined(text, feedback=feedback, source="manual")
                known.add(child)
                # one that is known already is what it was
                self.prompts.append(known.value.prompt(child.id) or child)
            case "keep", number, picture:
                known.keep(self.prompt(number), picture)
            case "write", drawn:
                text, links = self.links(drawn)
                known.write(text, **links.__dict__)
            case "conflict", drawn:
                known.trial.message_id = known.message_id
                known.trial.refused(
                    *self.links(drawn)[:1], "of another store", self.links(drawn)[1]
                )
                known.check("a conflict")
            case _:
                known.trial.reopen()
                known.check("it was opened again")


@given(steps=STEPS)
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_after_each_step_a_store_knows_what_the_pure_value_says(
    stores: Any, steps: list[tuple[Any, ...]]
) -> None:
    def take(trial: Trial) -> None:
        drawn = Drawn(trial)
        for step in steps:
            drawn.take(step)

    Check(take, frozenset())(stores.open)


def test_a_difference_is_told_with_the_step_after_which_it_came(stores: Any) -> None:
    def differ(trial: Trial) -> None:
        known = Followed(trial)
        known.add(known.prompt("a boat"))
        known.value = Registry()
        known.write("once")

    with pytest.raises(
        AssertionError, match=r"^prompts of registry\(\) after write with nothing: "
    ):
        Check(differ, frozenset())(stores.open)
    with pytest.raises(AssertionError, match=r"^it: expected 'x{100}.* … x+', found 1$"):
        equal(1, "x" * 10_000, "it")
