"""Each tag is held by one prompt, through rewriting, history, and other programs' encoding."""

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.drawn_texts import (
    BRACES,
    failure,
    notations,
    placement,
    prompts,
    put,
    scan,
    tag,
    texts,
)

from limner.messages.errors import SettingsInvalid
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.text.marks import find_marks
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.prompt_tags import PromptTags, canonical

BOTH = Notation(patterns=(*DEFAULT_PATTERNS, BRACES))


def tags_of(text: str, registry: Registry | None = None, notation: Notation = BOTH) -> PromptTags:
    return PromptTags(text, registry, message_id="m", notation=notation)


def known(text: str, notation: Notation = BOTH) -> tuple[Registry, list[Prompt]]:
    found = [Prompt.of("m", match) for match in scan(text, notation)]
    return Registry().add(*found), found


def claimed(registry: Registry, tags: PromptTags) -> Registry:
    return registry.settle("m", RegistryUpdate(claims=tags.claims), frozenset())


def test_a_tag_is_held_by_its_text_and_ordinal_unless_a_claim_names_it():
    text = f"{tag('cat')} {tag('cat')} {tag('dog')}"
    registry, (first, second, dog) = known(text)
    tags = tags_of(text, registry)
    assert [tags.owner_of(match) for match in tags.matches] == [first.id, second.id, dog.id]
    child = second.refined("tiger", source="manual")
    claim = TagOwner(prompt_id=child.id, text="cat", ordinal=1)
    tags = tags_of(text, registry.add(child).but(claims=(claim,)))
    assert [tags.owner_of(match) for match in tags.matches] == [first.id, child.id, dog.id]
    assert tags.claims == (claim,)
    assert tags_of(text).owners == (first.id, second.id, dog.id)


def test_rewriting_one_of_several_alike_leaves_each_tag_with_its_prompt():
    text = f"a {tag('cat')} b {tag('cat')} c {tag('dog')} d {tag('dog')}"
    registry, (one, two, dog, last) = known(text)
    child = one.refined("dog", source="manual")
    tags = tags_of(text, registry.add(child)).rewritten({0: child})
    assert tags.text == f"a {tag('dog')} b {tag('cat')} c {tag('dog')} d {tag('dog')}"
    assert tags.owners == (child.id, two.id, dog.id, last.id)
    again = tags_of(tags.text, claimed(registry.add(child), tags))
    assert again.owners == tags.owners
    assert again.claims == tags.claims
    assert [again.index(prompt.id) for prompt in (one, child, two, dog, last)] == [0, 0, 1, 2, 3]


def test_a_prompt_without_a_tag_has_that_of_its_nearest_relative():
    text = f"{tag('cat')}{tag('dog')}"
    registry, (cat, dog) = known(text)
    tiger, lion = (cat.refined(name, source="manual") for name in ("tiger", "lion"))
    cub = lion.refined("cub", source="model")
    registry = registry.add(tiger, lion, cub)
    tags = tags_of(text, registry)
    assert [tags.index(one.id) for one in (tiger, lion, cub, dog)] == [0, 0, 0, 1]
    tags = tags.rewritten({0: lion})
    registry = claimed(registry, tags)
    tags = tags_of(tags.text, registry)
    assert [tags.index(one.id) for one in (cat, tiger, lion, cub)] == [0, 0, 0, 0]
    assert tags.of(cat.id).text == "lion"
    assert tags.of("0" * 20) is None
    assert tags_of(tag("dog"), registry).of(cub.id) is None


def test_a_registry_whose_history_is_a_ring_does_no_harm():
    registry, (cat,) = known(tag("cat"))
    one = cat.refined("one", source="manual")
    two = one.refined("two", source="manual")
    ring = registry.add(one.but(parent_id=two.id), two)
    assert tags_of(tag("cat"), ring).index(two.id) is None


ENCODINGS = st.lists(st.sampled_from([html.escape, html.unescape]), max_size=5)


@settings(max_examples=200)
@given(prompts, ENCODINGS)
def test_a_tag_is_found_however_often_its_prompt_was_encoded_or_decoded(said, encodings):
    text = said
    for encode in encodings:
        text = encode(text)
    assert canonical(text) == canonical(said)
    registry = Registry().add(Prompt.of("m", next(iter(scan(tag(said), BOTH)))))
    tags = tags_of(tag("other") + tag(text), registry)
    (prompt,) = registry.prompts
    if len(tags.matches) == 2:
        assert tags.of(prompt.id) == tags.matches[1]


def test_the_ordinal_counts_among_the_tags_that_say_the_same():
    text = f"{tag('a & b')}{tag('a & b')}{tag('c')}"
    registry, (one, two, _) = known(text)
    tags = tags_of(text.replace("&", "&amp;amp;"), registry)
    assert [match.text for match in tags.matches] == ["a &amp; b", "a &amp; b", "c"]
    assert [tags.index(one.id), tags.index(two.id)] == [0, 1]
    child = two.refined("d", source="manual")
    tags = PromptTags(tags.text, registry.add(child), message_id="m", notation=BOTH)
    assert tags.index(child.id) == 1


@settings(max_examples=150)
@given(texts, notations, st.data())
def test_a_rewritten_tag_says_its_prompt_and_nothing_else_changes(text, notation, data):
    registry, found = known(text, notation)
    if not found:
        return
    tags = tags_of(text, registry, notation)
    at = data.draw(st.integers(0, len(found) - 1))
    child = found[at].refined(data.draw(prompts), source="manual")
    try:
        new = tags.rewritten({at: child})
    except SettingsInvalid:
        return
    assert new.text[: tags.matches[at].start] == text[: tags.matches[at].start]
    assert new.text[new.matches[at].end :] == text[tags.matches[at].end :]
    assert list(new.matches) == scan(new.text, notation)
    assert new.matches[at].text.split() == child.text.split()
    assert new.owners == (*tags.owners[:at], child.id, *tags.owners[at + 1 :])
    again = tags_of(new.text, claimed(registry.add(child), new), notation)
    assert again.owners == new.owners
    assert again.rewritten({at: child}).text == new.text
    assert "<" not in new.matches[at].tag[2:] or new.matches[at].tag == tags.matches[at].tag


@pytest.mark.parametrize("form", range(4))
@pytest.mark.parametrize(
    "said", ['a "b" c', "a\\", '\\"', "a\nb", "a --> b", '"-->', "<b>x</b>", "a & b", "&lt;", "é"]
)
def test_every_form_of_tag_takes_any_prompt_but_ends_nowhere_early(form, said):
    text = f"x {tag('cat', form)} y"
    registry, (cat,) = known(text)
    child = cat.refined(said, source="manual")
    new = tags_of(text, registry).rewritten({0: child})
    (match,) = scan(new.text, BOTH)
    assert match.text.split() == said.split()
    ends = '<>"' if form in {1, 2} else "<>"
    if not set(ends) & set(said) and "--" not in said:
        assert match.text == said
    opener, closer = tag("|", form).split("|")
    inner = match.tag.removeprefix(opener).removesuffix(closer)
    assert not any(end in inner for end in ("<", ">", "--"))


class Attributes(HTMLParser):
    """The attributes of the elements of a text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=False)
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += attrs


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(DEFAULT_PATTERNS[1], tag("cat", 1)), (r"<p title='([^']*)'>", "<p title='cat'>")],
)
@pytest.mark.parametrize(
    "said",
    ['x" onerror=alert(1) y="', "x' onerror=alert(1) y='", "x onerror = alert(1)", "a `=` b"],
)
def test_a_prompt_adds_no_attribute_to_the_element_that_it_stands_in(pattern, text, said):
    notation = Notation(patterns=(pattern,))
    registry, (cat,) = known(text, notation)
    new = tags_of(text, registry, notation).rewritten({0: cat.refined(said, source="manual")})
    assert new.matches[0].text == said
    before = [one for one, value in Attributes(text).found if value]
    assert [one for one, value in Attributes(new.text).found if value] == before
    assert not set(new.text[len(text.partition("cat")[0]) : -2]) & set("\"'=`")


@pytest.mark.parametrize(
    ("pattern", "text", "said", "written"),
    [
        (r'\[img "([^"]*)"\]', '[img "cat"]', 'a "b"', '[img "a &quot;b&quot;"]'),
        (r"\{\{(.*?)\}\}", "{{ cat }}", "a\nb", "{{ a b }}"),
        (r"\{\{(.*?)\}\}", "{{cat}}", "a }} b", "{{a &#125;&#125; b}}"),
        (r"<pic>((?:(?!</pic>).)*)</pic>", "<pic>cat</pic>", "</pic>", "<pic>&lt;/pic&gt;</pic>"),
        (r"\{(?:a:([^}]*)|b:([^}]*))\}", "{b:cat}", "dog", "{b:dog}"),
    ],
)
def test_a_pattern_that_takes_no_escapes_takes_entities(pattern, text, said, written):
    notation = Notation(patterns=(pattern,))
    registry, (cat,) = known(text, notation)
    new = tags_of(text, registry, notation).rewritten({0: cat.refined(said, source="manual")})
    assert new.text == written
    assert new.matches[0].text.split() == said.split()


@pytest.mark.parametrize(
    ("pattern", "text", "said"),
    [
        (r"\{([abx]+)\1\}", "{abab}", "x"),
        (r"\{(cat|dog)\}", "{cat}", "owl"),
        (r"\{\{(.*?)\}\}", "{{cat}}", "x" * 2_000),
    ],
)
def test_a_prompt_that_its_tag_cannot_say_is_refused_in_one_line(pattern, text, said):
    notation = Notation(patterns=(pattern,))
    registry, (cat,) = known(text, notation)
    with pytest.raises(SettingsInvalid, match="cannot be written in its tag") as refused:
        tags_of(text, registry, notation).rewritten({0: cat.refined(said, source="manual")})
    assert len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)


def test_a_prompt_that_would_close_an_earlier_opener_is_refused():
    notation = Notation(patterns=(r"\[\[([^|]*)\]\]", BRACES))
    text = "[[ never closed {{cat}} and on"
    registry, (cat,) = known(text, notation)
    new = tags_of(text, registry, notation)
    with pytest.raises(SettingsInvalid):
        new.rewritten({0: cat.refined("a ]] b", source="manual")})


def test_marks_that_stand_beside_stay_where_they_are():
    text = f"x {tag('cat')} y"
    registry, (cat,) = known(text)
    composed = put(text, [placement(cat)], [failure(cat)], notation=BOTH).text
    new = tags_of(composed, registry).rewritten({0: cat.refined("dog", source="manual")})
    assert new.text == composed.replace(tag("cat"), tag("dog"))
    assert len(find_marks(new.text)) == 2


LORA = "a <lora:x:0.8> cat -- R&D; &lt; Tom & Jerry"


def test_a_rewritten_tag_says_the_same_under_another_message_id():
    registry, (cat,) = known(tag("cat"))
    new = tags_of(tag("cat"), registry).rewritten({0: cat.refined(LORA, source="manual")})
    copied = PromptTags(new.text, message_id="other", notation=BOTH)
    assert copied.prompt(0).text == LORA


def test_a_tag_that_was_encoded_twice_by_mistake_can_be_rewritten():
    registry, (cat,) = known(tag("a &amp;lt;b&amp;gt;"))
    assert cat.text == "a &lt;b&gt;"
    new = tags_of(tag("a &amp;lt;b&amp;gt;"), registry)
    new = new.rewritten({0: cat.refined("a <b>", source="manual")})
    assert new.text == tag("a &lt;b&gt;")


def test_a_claim_by_the_text_as_it_stands_in_the_tag_still_counts():
    registry, (cat,) = known(tag("cat"))
    child = cat.refined("a <b>", source="manual")
    claim = TagOwner(prompt_id=child.id, text="a &lt;b&gt;", ordinal=0)  # by an earlier version
    tags = tags_of(tag("a &lt;b&gt;"), registry.add(child).but(claims=(claim,)))
    assert tags.owners == (child.id,)
    assert tags.claims == (TagOwner(prompt_id=child.id, text="a <b>", ordinal=0),)


def test_an_old_claim_takes_no_tag_from_the_one_that_has_its_text():
    registry, (cat,) = known(tag("cat"))
    child = cat.refined("&lt;", source="manual")
    claim = TagOwner(prompt_id=child.id, text="&lt;", ordinal=0)
    tags = tags_of(tag("&lt;") + tag("&amp;lt;"), registry.add(child).but(claims=(claim,)))
    assert tags.owners[1] == child.id != tags.owners[0]


def test_a_mark_directly_after_a_tag_claims_the_tag():
    text = f"{tag('cat')} a {tag('cat')} b"
    registry, (one, two) = known(text)
    shown = put(text, [placement(two)], notation=BOTH).text
    left = shown.partition(" a ")[2]
    assert tags_of(left, registry).owners == (two.id,)
    assert tags_of(left, registry).index(one.id) is None
    assert tags_of(f"{tag('cat')} {left}", registry).owners == (one.id, two.id)
    assert tags_of(f"{left} {tag('cat')}", registry).owners == (two.id, one.id)
    assert tags_of(left).owners == (one.id,)  # of whom nothing is known, as another message's


def test_a_mark_of_the_owners_history_leaves_the_tag_to_the_owner():
    registry, (cat,) = known(tag("cat"))
    child = cat.refined("cat", source="manual", feedback="again")
    claim = TagOwner(prompt_id=child.id, text="cat", ordinal=0)
    text = put(tag("cat"), [placement(cat)], notation=BOTH).text
    assert tags_of(text, registry.add(child).but(claims=(claim,))).owners == (child.id,)
