"""The prompts of a registry come in the order of their tags."""

from hypothesis import given
from hypothesis import strategies as st

from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.registry_order import in_text_order

NOTATION = Notation()
NAMES = ["a", "b", "c", "d", "e"]


def text_of(names):
    return " ".join(f'<!--img-prompt="{name}"-->' for name in names)


def prompts_of(text):
    tags = PromptTags(text, message_id="m", notation=NOTATION)
    return [tags.prompt(at) for at in range(len(tags.matches))]


def ordered(registry, text):
    return in_text_order(registry, text, message_id="m", notation=NOTATION)


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.randoms())
def test_prompts_come_as_their_tags_do_whatever_was_known_first(names, random):
    text = text_of(names)
    prompts = prompts_of(text)
    known = random.sample(prompts, len(prompts))
    assert ordered(Registry().add(*known), text).prompts == tuple(prompts)


@given(st.permutations(NAMES), st.sets(st.sampled_from(NAMES)))
def test_prompts_without_a_tag_come_last_as_they_became_known(names, gone):
    known = prompts_of(text_of(NAMES))
    left = [name for name in names if name not in gone]
    registry = ordered(Registry().add(*known), text_of(left))
    assert [prompt.text for prompt in registry.prompts] == [*left, *sorted(gone)]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=12))
def test_the_history_of_each_prompt_is_the_same(steps):
    text = text_of(NAMES)
    known = prompts_of(text)
    claims = []
    for number, (parent, claimed) in enumerate(steps):
        child = known[parent % len(known)].refined(f"child {number}", source="manual")
        known.append(child)
        if claimed:
            name = NAMES[number % len(NAMES)]
            claims.append(TagOwner(prompt_id=child.id, text=name, ordinal=0))
    registry = Registry().add(*known).but(claims=tuple(claims))
    got = ordered(registry, text)
    assert sorted(prompt.id for prompt in got.prompts) == sorted(
        prompt.id for prompt in registry.prompts
    )
    for prompt in registry.prompts:
        assert got.line(prompt.id) == registry.line(prompt.id)


def test_a_refined_prompt_comes_beside_its_parent():
    text = text_of("ab")
    first, second = prompts_of(text)
    child = first.refined("child", source="manual")
    got = ordered(Registry().add(second, first, child), text)
    assert got.prompts == (first, child, second)


def test_a_circle_of_parents_is_ordered_all_the_same():
    text = text_of("ab")
    first, second = prompts_of(text)
    circle = [
        Prompt.of("m", match).but(parent_id=other.id)
        for match, other in zip(
            PromptTags(text, message_id="m", notation=NOTATION).matches,
            (second, first),
            strict=True,
        )
    ]
    assert len(ordered(Registry().add(*circle), text).prompts) == 2
