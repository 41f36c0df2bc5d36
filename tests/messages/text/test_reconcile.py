"""What another program has stripped comes back once, however the text was encoded since."""

import html
import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.drawn_texts import (
    BRACES,
    READS_ON,
    failure,
    nothing_overlaps,
    placement,
    prompts,
    put,
    scan,
    scenes,
    tag,
    urls,
    without_marks,
    written,
)

from limner.messages.prompts import Prompt
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.tasks import Task
from limner.messages.text.clean import clean
from limner.messages.text.mark_editor import NO_PROMPT, TOO_LONG, MarkEditor
from limner.messages.text.marks import MAX_MARK, failures_marked, find_marks, marked
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.reconcile import (
    ENCODED,
    NO_TEXT,
    PROMPT_ENCODED,
    SHOWS_ANOTHER,
    STRANGER,
    address,
    reconcile,
    standing,
)
from limner.messages.text.revise import remove

HTML = Notation()
TEXT = f"x {tag('cat', 1)} y {tag('dog', 1)} z"
CAT, DOG = (Prompt.of("m", match) for match in scan(TEXT, HTML))
A, B, C = (placement(CAT, one, url=f"p/{one.decode()}.png") for one in (b"a", b"b", b"c"))


def registry_of(*placed):
    return Registry().settle("m", RegistryUpdate(prompts=(CAT, DOG), placed=placed), frozenset())


def reconciled(text, registry, notation=HTML):
    return reconcile(text, registry, message_id="m", notation=notation)


def page(*beside, text=TEXT):
    return put(text, beside, notation=HTML).text


@pytest.mark.parametrize("left", [(), (A,), (B,), (C,), (A, B), (B, C), (A, C)])
def test_a_picture_that_was_stripped_comes_back_in_its_order(left):
    result = reconciled(page(*left), registry_of(A, B, C))
    assert result.text == page(A, B, C)
    assert set(result.placed) == {A, B, C} - set(left)
    again = reconciled(result.text, registry_of(A, B, C))
    assert (again.text, again.placed, again.unplaced) == (result.text, (), ())


def test_only_what_was_placed_comes_back():
    registry = registry_of(A, B)
    registry = registry.settle("m", RegistryUpdate(removed=(A.id,)), frozenset())
    assert reconciled(TEXT, registry).text == page(B)


def test_what_cannot_come_back_is_named_with_the_reason():
    for text, reason in ((None, NO_TEXT), ("nothing", NO_PROMPT)):
        result = reconciled(text, registry_of(A))
        assert [(one.placement, one.reason) for one in result.unplaced] == [(A, reason)]
        assert result.text == (text or "")


def stripped(one, notation):
    """Return a picture's mark without its id, as a sanitiser leaves it."""
    return re.sub(r"<!--data-limner.*?-->| data-limner=\S*", "", written(one, notation)[1])


@pytest.mark.parametrize("markup", ["html", "markdown"])
def test_an_image_without_its_name_is_known_by_its_address(markup):
    notation = Notation(markup=markup)
    text = f"{tag('cat', 1)} {stripped(A, notation)} {tag('dog', 1)}"
    assert "data-limner" not in text
    assert reconciled(text, registry_of(A), notation).text == text
    assert reconciled(text, registry_of(B), notation).text != text


def test_a_link_to_a_picture_is_not_the_picture():
    text = f"{TEXT} [a]({A.picture.url}) <a href='{A.picture.url}'>"
    assert reconciled(text, registry_of(A)).placed == (A,)


@pytest.mark.parametrize(
    "image",
    [
        "<img src='{}'>",
        "<IMG alt=x SRC={}>",
        '<img alt="a > b" src = "{}" />',
        "![x]({})",
        "![x](<{}>)",
        '![x]({} "title")',
        "[![x]({})](other)",
        "![a](b) ![x [y]]({})",
    ],
)
def test_an_image_is_known_however_it_is_written(image):
    text = TEXT + image.format(A.picture.url)
    assert reconciled(text, registry_of(A)).placed == ()
    assert reconciled(TEXT + image.format("other"), registry_of(A)).placed == (A,)


def test_two_pictures_with_one_address_need_two_images():
    again = placement(DOG, b"a", url=A.picture.url)
    image = f'<img src="{A.picture.url}">'
    both = registry_of(A, again)
    after_dog = TEXT.replace(" z", f"{image} z")
    assert reconciled(after_dog, both).placed == (A,)
    after_cat = TEXT.replace(" y", f"{image} y")
    assert reconciled(after_cat, both).placed == (again,)
    assert reconciled(image + TEXT, both).placed == (again,)
    assert reconciled(TEXT + image + image, both).placed == ()
    assert reconciled(page(A), both).placed == (again,)


def test_a_comment_whose_image_was_taken_is_no_picture():
    (one,) = find_marks(written(A, Notation(markup="markdown"))[1])
    text = f'{tag("cat", 1)}<!--data-limner="{one.id}"-->'
    assert reconciled(text, registry_of(A)).placed == (A,)


@pytest.mark.parametrize("markup", ["html", "markdown"])
@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize("stripped", [(A,), (B,), (A, B, C)])
def test_the_leftover_of_a_stripped_picture_becomes_a_whole_one_in_its_place(
    markup, form, stripped
):
    notation = Notation(markup=markup)
    bare = f"x\n{tag('cat', form)} y {tag('dog', form)} z"
    text = put(bare, [A, B, C], notation=notation).text
    left = text
    for one in stripped:
        whole = written(one, notation)[1]
        if markup == "html":
            leftover = re.sub(" src=.*>", ">", whole)
        else:
            leftover = whole[whole.index("<!--") :]
        left = left.replace(whole, leftover)
        assert left.count(leftover) == 1
    result = reconciled(left, registry_of(A, B, C), notation)
    assert (result.text, set(result.placed), result.unplaced) == (text, {*stripped}, ())
    assert reconciled(text, registry_of(A, B, C), notation).placed == ()
    twice = left.replace(leftover, leftover * 2) + " &amp; " + leftover
    result = reconciled(twice, registry_of(A, B, C), notation)
    assert result.text == text + " &amp; "
    elsewhere = f"{without_marks(text, notation)} {leftover}!"
    result = reconciled(elsewhere, registry_of(stripped[-1]), notation)
    assert [mark.id for mark in find_marks(result.text)] == [stripped[-1].id]
    assert result.text.endswith(f"{whole}!")


def test_a_newer_picture_comes_after_the_leftover_of_an_older():
    leftover = f'<!--data-limner="{A.id}"-->'
    text = TEXT.replace(" y", f"{leftover} y")
    assert reconciled(text, registry_of(A, B)).text == page(A, B)


def test_a_leftover_stays_where_the_image_still_stands():
    text = f'{TEXT} ![cat]({A.picture.url}) <!--data-limner="{A.id}"-->'
    assert reconciled(text, registry_of(A)).text == text


def test_a_leftover_beside_an_image_that_was_rewritten_puts_in_no_other():
    comment = f'<!--data-limner="{A.id}"-->'
    text = f'{TEXT} ![x]({A.picture.url} "titled"){comment} and {comment}'
    assert reconciled(text, registry_of(A), Notation()).text == text


def test_a_leftover_stays_where_the_whole_cannot_be_put():
    long = A.but(picture=A.picture.but(url="data:," + "A" * MAX_MARK))
    text = f'{TEXT} <!--data-limner="{A.id}"-->'
    result = reconciled(text, registry_of(long))
    assert (result.text, result.unplaced[0].reason) == (text, TOO_LONG)


def test_a_link_whose_bracket_is_escaped_is_no_image():
    text = f"{TEXT} ![x\\]({A.picture.url})"
    assert reconciled(text, registry_of(A)).placed == (A,)
    assert reconciled(text.replace("]", "\\]"), registry_of(A)).placed == ()


def test_a_picture_does_not_come_beside_one_that_is_of_another_message():
    stranger = B.but(prompt_id="0" * 20)
    dog = placement(DOG, b"dog")
    text = TEXT.replace(" y", f"{written(stranger, HTML)[1]} y")
    registry = Registry().settle("m", RegistryUpdate(prompts=(CAT, DOG), placed=(A, dog)), "")
    result = reconciled(text, registry)
    assert result.placed == (dog,)
    assert [(one.placement, one.reason) for one in result.unplaced] == [(A, STRANGER)]
    assert result.text == text.replace(" z", f"{written(dog, HTML)[1]} z")
    apart = text.replace(tag("cat", 1), f"{tag('cat', 1)} ")
    assert reconciled(apart, registry).placed == (A, dog)
    assert reconciled(page(C), registry).placed == (A, dog)  # of the same prompt


@pytest.mark.parametrize("markup", ["html", "markdown"])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("quotes", [True, False])
def test_a_text_that_is_encoded_as_a_whole_gets_no_second_picture(markup, times, quotes):
    notation = Notation(markup=markup, patterns=(BRACES, *Notation().patterns))
    bare = f"{tag('a > b', 3)} {tag('dog', 1)}"
    found = [Prompt.of("m", match) for match in scan(bare, notation)]
    one, two = (placement(prompt, url="p/a.png?a=1&b=2") for prompt in found)
    composed = put(bare, [one, two], notation=notation)
    registry = Registry().settle("m", RegistryUpdate(prompts=(*found,), placed=composed.placed), "")
    text = composed.text
    for _ in range(times):
        text = html.escape(text, quote=quotes)
    result = reconciled(text, registry, notation)
    assert (result.text, result.placed) == (text, ())
    known = [ENCODED] * 2 if markup == "html" else []  # brackets stand as they did
    assert [entry.reason for entry in result.unplaced] == known
    text = html.escape(bare)
    result = reconciled(text, registry, notation)
    assert [entry.reason for entry in result.unplaced] == [PROMPT_ENCODED]
    assert result.placed == (one,)


def test_a_mark_that_was_written_anew_and_encoded_gets_no_second_picture():
    text = page(A).replace('"', "'")
    assert marked(text) == {A.id}
    result = reconciled(TEXT + html.escape(text, quote=False), registry_of(A))
    assert [(one.placement, one.reason) for one in result.unplaced] == [(A, ENCODED)]


def test_of_several_addresses_each_has_its_nearest_end_tried_first():
    image = '<img data-src="x" src="{}" a="1" b="2" c="3" d="4">'
    text = TEXT + image.format(A.picture.url)
    assert reconciled(text, registry_of(A)).placed == ()


def test_hostile_images_are_read_to_their_end():
    """What takes the square of their length would take hours."""
    many = 400_000
    for text in (
        "<img " + 'src="' * 8 + "%" + "25" * many + '"' * 8,
        "![](%" + "25" * many + ")" * 8,
        '<img src="' + "&amp;" * many + '"' * 8,
        '<img src="' * (many // 32),
        "![](" * (many // 32),
    ):
        assert reconciled(TEXT + text, registry_of(A)).placed == (A,)


ENCODINGS = st.lists(st.sampled_from([html.escape, html.unescape]), max_size=6)


def mixed(text, encodings):
    for encode in encodings:
        text = encode(text)
    return text


@settings(max_examples=300)
@given(urls, ENCODINGS)
@example("p/%\n44?", [])
def test_an_address_is_the_same_however_often_it_was_encoded_or_decoded(url, encodings):
    assert address(mixed(url, encodings)) == address(url)
    assert address(quote(mixed(url, encodings))) == address(url)
    assert address(address(url)) == address(url)


@settings(max_examples=200)
@given(prompts, urls, ENCODINGS, ENCODINGS, st.sampled_from(["html", "markdown"]), st.booleans())
def test_a_picture_is_known_though_prompt_and_address_were_encoded(
    said, url, on_alt, on_url, markup, named
):
    notation = Notation(markup=markup)
    one = placement(CAT.but(text=said), url=url)
    alt, encoded = mixed(said, on_alt), mixed(url, on_url)
    if markup == "html":
        name = f'data-limner="{one.id}" ' if named else ""
        image = f'<img {name}alt="{html.escape(alt)}" src="{html.escape(encoded)}">'
    else:
        name = f'<!--data-limner="{one.id}"-->' if named else ""
        kept = placement(CAT.but(text=alt), url=encoded)
        image = stripped(kept, notation) + name
    text = TEXT + image
    assert reconciled(text, registry_of(one), notation).text == text


@pytest.mark.parametrize("markup", ["html", "markdown"])
@pytest.mark.parametrize("said", ['a <b> "c"', "a > b", "a ] b"])
@pytest.mark.parametrize("url", ["p/a.png", 'p/"a" b.png', "p/a<b>.png", "data:,<svg/>", "p?src=a"])
@pytest.mark.parametrize("named", [True, False])
def test_a_mark_that_was_decoded_out_of_its_quotes_is_known(markup, said, url, named):
    notation = Notation(markup=markup)
    one = placement(CAT.but(text=said), url=url)
    text = html.unescape(written(one, notation)[1] if named else stripped(one, notation))
    text = f"{tag('cat', 1)}{text} and on > 'so' \"on\" (a)"
    assert reconciled(text, registry_of(one), notation).text == text
    if markup == "markdown" and not named:
        text = unquote(text).replace("\\", "")
        assert reconciled(text, registry_of(one), notation).text == text


@settings(max_examples=100)
@given(scenes(), st.data())
def test_reconciling_puts_back_what_is_gone_once_and_changes_nothing_else(case, data):
    bare, text, registry, notation = case
    if find_marks(bare):
        return
    names = sorted(link.placement.id for link in registry.links)
    gone = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    shorter = text
    for name in gone:
        shorter = remove(shorter, name, notation=notation) or shorter
    result = reconciled(shorter, registry, notation)
    assert {one.id for one in result.placed} | {one.placement.id for one in result.unplaced} == {
        *gone
    }
    assert without_marks(result.text, notation) == bare
    assert nothing_overlaps(result.text, notation)
    again = reconciled(result.text, registry, notation)
    assert (again.text, again.placed) == (result.text, ())
    if not result.unplaced:
        assert marked(result.text) == marked(text)
        cleaned = clean(text, ("prompts",), notation=notation)
        assert clean(result.text, ("prompts",), notation=notation) == cleaned


@settings(max_examples=100)
@given(scenes(), st.data())
def test_each_failure_comes_back_once_and_beside_no_picture_that_came_since(case, data):
    """Failures of tags without a picture, and of such that should replace or follow one."""
    bare, text, registry, notation = case
    if find_marks(bare):
        return
    before = tuple(link.placement for link in registry.links)
    lost = [
        failure(prompt, task, reason=data.draw(prompts))
        for prompt in registry.prompts
        for task in data.draw(st.lists(st.integers(4, 6), max_size=2, unique=True))
    ]
    bare = without_marks(text, notation)  # without those that the registry does not know
    text = put(bare, before, notation=notation).text
    composed = put(text, before, lost, notation=notation)
    links = RegistryUpdate(placed=composed.placed, failures=composed.failures)
    registry = registry.settle("m", links, composed.text)
    assert {one.id for one in registry.failures} == failures_marked(composed.text)
    shorter = composed.text
    names = [mark.id for mark in find_marks(shorter, scan(shorter, notation))]
    for name in data.draw(st.lists(st.sampled_from(names), unique=True)) if names else ():
        shorter = remove(shorter, name, notation=notation) or shorter
    if data.draw(st.booleans()):
        shorter = "before " + shorter.replace("prose", "other words")
    kept = []
    for prompt in registry.prompts:
        if data.draw(st.booleans()):
            kept.append(placement(prompt, b"k"))
            task = Task.requested(prompt, session_id="k", owner=None, priority=3, at=0)
            registry = registry.keep(task, kept[-1].picture)
    result = reconciled(shorter, registry, notation)
    tags = PromptTags(result.text, registry, message_id="m", notation=notation)
    marks = find_marks(result.text, tags.matches)
    seen = [mark.id for mark in marks if mark.kind == "failure"]
    assert len(seen) == len(set(seen))
    came = {one.id for one in result.placed} & {one.id for one in kept}
    reads_on = READS_ON[0] in notation.patterns  # over a mark that is put in
    shown = {name.partition(":")[0] for name in came}
    there = {mark.id for mark in marks if mark.kind == "picture"}
    for one in registry.failures:
        if one.after is None and one.failure.prompt_id in shown:
            assert one.id not in seen
            assert one.id in result.answered
        elif not came and not reads_on and (one.after is None or one.after in there):
            assert one.id in seen
    after = registry.settle(
        "m", RegistryUpdate(placed=result.placed, answered=result.answered), result.text
    )
    again = reconciled(result.text, after, notation)
    assert (again.text, again.placed, again.answered) == (result.text, (), ())
    assert nothing_overlaps(result.text, notation)


def test_the_mark_of_a_failure_is_no_picture():
    text = put(TEXT, [A], [failure(CAT), failure(DOG)], notation=HTML).text
    assert standing(MarkEditor(PromptTags(text, message_id="m")), [A, B]) == {A.id}


def equal_tags(count, notation, text="cat"):
    """Return pieces of a text, each an equal tag with a picture, and the text's registry."""
    bare = "".join(f"{number} {tag(text)}\n\n" for number in range(count))
    found = [Prompt.of("m", match) for match in scan(bare, notation)]
    placed = [
        placement(prompt, bytes([65 + number]), url=f"p/{number}.png")
        for number, prompt in enumerate(found)
    ]
    composed = put(bare, placed, notation=notation)
    registry = Registry().settle("m", RegistryUpdate(prompts=(*found,), placed=composed.placed), "")
    pieces = re.split(r"(?<=\n\n)", composed.text)[:count]
    return pieces, placed, registry


def without_name(piece):
    return re.sub(r"<!--data-limner.*?-->| data-limner=\S*", "", piece)


def leftover(piece):
    return re.sub(r" src=[^>]*>|!\[cat\]\([^)]*\)", lambda found: ">" * ("src" in found[0]), piece)


@pytest.mark.parametrize("markup", ["html", "markdown"])
@pytest.mark.parametrize("gone", [0, 1, 2])
@pytest.mark.parametrize("change", [str, without_name, leftover])
def test_of_equal_tags_one_deleted_leaves_the_others_alone(markup, gone, change):
    notation = Notation(markup=markup)
    pieces, placed, registry = equal_tags(3, notation)
    left = [piece for number, piece in enumerate(pieces) if number != gone]
    result = reconciled("".join(map(change, left)), registry, notation)
    whole = left if change is leftover else map(change, left)
    assert result.text == "".join(whole)
    assert [entry.placement for entry in result.unplaced] == [placed[gone]]
    assert result.unplaced[0].reason in {SHOWS_ANOTHER, NO_PROMPT}


@settings(max_examples=200)
@given(st.data(), st.sampled_from(["html", "markdown"]), st.sampled_from(["cat", "a & b", "a <b>"]))
def test_no_tag_gets_a_second_picture_that_nobody_asked_for(data, markup, said):
    notation = Notation(markup=markup)
    pieces, placed, registry = equal_tags(4, notation, said)
    order = data.draw(st.permutations(range(4)))[: data.draw(st.integers(1, 4))]
    strip = data.draw(st.sets(st.sampled_from(order)))
    names = {number: placed[number].id for number in range(4)}
    text = ""
    for number in order:
        stripped = remove(pieces[number], names[number], notation=notation)
        text += stripped if number in strip else pieces[number]
    result = reconciled(text, registry, notation)
    tags = PromptTags(result.text, registry, message_id="m", notation=notation)
    for marks, number in zip(tags.marks_after, order, strict=True):
        assert len(marks) <= 1
        assert number in strip or [mark.id for mark in marks] == [names[number]]
    again = reconciled(result.text, registry, notation)
    assert (again.text, again.placed) == (result.text, ())


def test_several_pictures_that_were_asked_for_all_come_back():
    _, (one, *_), registry = equal_tags(2, HTML)
    more = one.but(picture=one.picture.but(id="f" * 32, url="p/more.png"))
    registry = registry.settle("m", RegistryUpdate(placed=(more,)), "")
    text = f"0 {tag('cat')}\n\n1 {tag('cat')}\n\n"
    result = reconciled(text, registry)
    counts = [len(marks) for marks in PromptTags(result.text, message_id="m").marks_after]
    assert counts == [2, 1]


def test_a_picture_beside_a_tag_of_another_text_keeps_no_picture_away():
    text = TEXT.replace(" z", f"{written(A, HTML)[1]} z")  # the cat's picture was moved to the dog
    dog = placement(DOG, b"d", url="p/d.png")
    assert reconciled(text, registry_of(A, dog)).placed == (dog,)


def kept_of(*kept, placed=()):
    """Return a registry in which some pictures are kept and in no text."""
    registry = registry_of(*placed)
    for found in kept:
        task = Task(
            id=found.task_id,
            session_id="s",
            message_id="m",
            prompt_id=found.prompt_id,
            prompt=found.prompt,
        )
        registry = registry.keep(task, found.picture)
    return registry


def test_a_kept_picture_that_no_text_has_goes_beside_its_tag():
    result = reconciled(TEXT, kept_of(A))
    assert result.text == page(A)
    assert [placement.id for placement in result.placed] == [A.id]
    assert reconciled(result.text, kept_of(placed=(A,))).text == result.text


def test_of_several_kept_ones_the_newest_is_placed():
    assert reconciled(TEXT, kept_of(A, C, B)).text == page(B)


def test_a_tag_that_shows_a_picture_gets_no_kept_one():
    registry = kept_of(B, placed=(A,))
    for text in (page(A), TEXT):  # there already, or put back just now
        assert reconciled(text, registry).text == page(A)


def test_a_kept_picture_without_a_tag_waits_and_is_no_failure():
    result = reconciled("no tag", kept_of(A))
    assert (result.text, result.placed, result.unplaced) == ("no tag", (), ())
    assert reconciled(None, kept_of(A)).unplaced == ()


def test_the_mark_of_a_failure_goes_when_a_kept_picture_comes():
    failed = put(TEXT, (), (failure(CAT),), notation=HTML).text
    assert failed != TEXT
    assert reconciled(failed, kept_of(A)).text == page(A)


def test_a_kept_picture_whose_bytes_are_lost_is_left_out():
    registry = kept_of(A, B)
    assert reconciled(TEXT, registry.with_kept({})).text == TEXT
    assert reconciled(TEXT, registry.with_kept({CAT.id: A.picture})).text == page(A)


def with_failures(*failed, placed=()):
    return registry_of(*placed).settle("m", RegistryUpdate(failures=failed), "")


@pytest.mark.parametrize("markup", ["html", "markdown"])
def test_the_mark_of_a_failure_that_was_stripped_comes_back_in_its_place(markup):
    notation = Notation(markup=markup)
    first, second, other = failure(CAT), failure(CAT, 1), failure(DOG)
    whole = put(TEXT, [A], [first, second, other], notation=notation)
    assert [one.after for one in whole.failures] == [A.id, A.id, None]
    registry = with_failures(*whole.failures, placed=[A])
    for gone in ([first], [second], [other, first], [first, second, other], [A, first], [A]):
        text = whole.text
        for one in gone:
            text = remove(text, one.id, notation=notation)
        assert reconciled(text, registry, notation).text == whole.text
    named = written(first, notation)
    leftover = f'<!--data-limner-failed="{first.id}"-->'
    assert reconciled(whole.text.replace(named[1], leftover), registry, notation).text == whole.text


def test_the_mark_of_a_failure_in_raw_html_of_markdown_is_known_and_comes_back():
    notation = Notation(markup="markdown")
    text = f"<div>\n{tag('cat', 0)} and\n</div>\n"
    (cat,) = (Prompt.of("m", match) for match in scan(text, notation))
    whole = put(text, [], [failure(cat)], notation=notation)
    assert "<span data-limner-failed=" in whole.text
    registry = Registry().settle("m", RegistryUpdate(failures=whole.failures), "").add(cat)
    assert reconciled(whole.text, registry, notation).text == whole.text
    assert reconciled(text, registry, notation).text == whole.text


def test_no_failure_comes_back_beside_a_picture_that_came_since():
    whole = put(TEXT, [], [failure(CAT)], notation=HTML)
    registry = with_failures(*whole.failures)
    assert reconciled(page(A), registry).text == page(A)
    task = Task.requested(CAT, session_id="s", owner=None, priority=3, at=0)
    result = reconciled(TEXT, registry.keep(task, A.picture))
    assert result.text == page(A)
    assert result.answered == (failure(CAT).id,)
    settled = registry.settle("m", RegistryUpdate(answered=result.answered), result.text)
    assert settled.failures == ()


def test_a_failure_that_stood_after_a_picture_comes_back_after_that_alone():
    whole = put(TEXT, [A], [failure(CAT)], notation=HTML)
    registry = with_failures(*whole.failures)  # of which A is no part any more
    assert reconciled(TEXT, registry).text == TEXT
    assert reconciled(page(B), registry).text == page(B)


def test_a_failure_whose_mark_stands_encoded_is_not_put_in_twice():
    whole = put(TEXT, [], [failure(CAT)], notation=HTML)
    mark = written(failure(CAT), HTML)[1]
    text = whole.text.replace(mark, html.escape(mark))
    assert reconciled(text, with_failures(*whole.failures)).text == text
