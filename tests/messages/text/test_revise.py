"""The outcomes of requests are applied to a text together; applied again they change nothing."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.drawn_texts import (
    cases,
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

from limner.messages.errors import SettingsInvalid, UnknownPicture, UnknownPrompt
from limner.messages.ids import task_id
from limner.messages.picture_requests import PictureRequest, RequestOutcome
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.text import mark_editor as page_module
from limner.messages.text import prompt_tags as tags_module
from limner.messages.text.mark_editor import NO_PROMPT, TOO_LONG, MarkEditor
from limner.messages.text.marks import MAX_MARK, find_marks
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags, canonical
from limner.messages.text.reconcile import reconcile
from limner.messages.text.regenerate import request_all, request_one, request_retries
from limner.messages.text.revise import remove, revise

HTML = Notation(placeholders=True)
TEXT = f"x {tag('cat', 1)} y {tag('dog', 1)} z"
CAT, DOG = (Prompt.of("m", match) for match in scan(TEXT, HTML))
A, B, C, N, P = (placement(CAT, one) for one in (b"a", b"b", b"c", b"n", b"o"))
REGISTRY = Registry().add(CAT, DOG)


def page(*beside, after=(), cat="cat"):
    """Return the text with marks beside its first tag, and beside its second."""
    first, second = ("".join(written(one, HTML)[1] for one in ones) for ones in (beside, after))
    return f"x {tag(cat, 1)}{first} y {tag('dog', 1)}{second} z"


def got(place, target, one, *, prompt=CAT, rewrites=False):
    target = target if isinstance(target, str) else written(target, HTML)[0]
    request = PictureRequest(prompt=prompt, place=place, target=target, rewrites=rewrites)
    kind = "failure" if hasattr(one, "reason") else "placement"
    return RequestOutcome(request=request, **{kind: one})


def revised(text, *outcomes, registry=REGISTRY, notation=HTML):
    return revise(text, outcomes, registry, message_id="m", notation=notation)


F, G = failure(CAT, 0), failure(CAT, 1)


@pytest.mark.parametrize(
    ("before", "outcomes", "after", "removed"),
    [
        ((A, B), [("replace-image", A, N)], (N, B), [A]),
        ((A, B), [("replace-image", A, N), ("replace-image", A, P)], (N, P, B), [A]),
        ((A, B), [("replace-image", A, A)], (A, B), []),
        ((A, B), [("replace-image", A, N), ("replace-image", A, A)], (A, N, B), []),
        ((A, B), [("replace-image", A, F)], (A, F, B), []),
        ((A, B), [("replace-image", A, F), ("replace-image", A, N)], (N, F, B), [A]),
        ((A, B), [("replace-image", A, B)], (B,), [A]),
        ((A, B), [("replace-image", A, B), ("replace-image", B, N)], (B, N), [A]),
        ((A, B), [("append-after-image", A, N), ("append-after-image", A, P)], (A, N, P, B), []),
        ((A, B), [("append-after-image", A, P), ("replace-image", A, N)], (N, P, B), [A]),
        ((A, B), [("append-after-prompt", CAT.id, N)], (N, A, B), []),
        ((A, B), [("append-after-prompt", A, N)], (N, A, B), []),
        ((A, F), [("append", CAT.id, N), ("append", CAT.id, P)], (A, N, P), []),
        ((A, F), [("append", CAT.id, N), ("append", CAT.id, G)], (A, N, G), []),
        ((A, F, G), [("append-after-image", A, N)], (A, N), []),
        ((F, A), [("append-after-prompt", CAT.id, N)], (N, A), []),
        ((A, F, B), [("replace-image", B, N)], (A, N), [B]),
        ((A, F), [("append", CAT.id, A)], (A,), []),
        ((A, F), [("append", CAT.id, G)], (A, F, G), []),
        ((A, B, F), [("replace", CAT.id, N), ("replace", CAT.id, P)], (N, P), [A, B]),
        ((A, B), [("replace", CAT.id, N), ("replace", CAT.id, F)], (N, F), [A, B]),
        ((A, B), [("replace", CAT.id, F)], (A, B, F), []),
        ((A, B), [("replace", CAT.id, B)], (B,), [A]),
        ((A, F, B), [("retry", F, N)], (A, N, B), []),
        ((A, F, B), [("retry", F, G)], (A, G, B), []),
        ((A,), [("retry", F, N)], (A, N), []),
        ((A,), [("replace-image", C, N)], (A, N), []),
        ((A,), [("append-after-image", C, N)], (A, N), []),
    ],
)
def test_an_outcome_goes_where_its_request_says(before, outcomes, after, removed):
    outcomes = [got(*outcome) for outcome in outcomes]
    text = page(*before, after=(placement(DOG),))
    result = revised(text, *outcomes)
    assert result.text == page(*after, after=(placement(DOG),))
    assert list(result.removed) == [one.id for one in removed]
    assert {placement.id for placement in result.placed} == {
        one.placement.id for one in outcomes if one.placement is not None
    }
    again = revised(result.text, *outcomes)
    assert again.text == result.text
    assert again.placed == result.placed
    assert not again.removed


@pytest.mark.parametrize("place", ["replace-image", "append", "retry"])
def test_no_failure_leaves_a_mark_but_a_failed_one_if_marks_are_wanted(place):
    text = page(A, F)
    outcome = got(place, F if place == "retry" else A, G)
    assert revised(text, outcome).text != text
    assert revised(text, outcome, notation=Notation()).text == text
    cancelled = got(place, F if place == "retry" else A, G.but(state="cancelled"))
    assert revised(text, cancelled).text == text
    assert revised(text, RequestOutcome(request=outcome.request)).text == text


def test_a_picture_without_target_and_tag_is_named_with_the_reason():
    result = revised("nothing", got("replace-image", A, N), got("append", CAT.id, F))
    assert result.text == "nothing"
    (one,) = result.unplaced
    assert (one.placement, one.reason) == (N, NO_PROMPT)


COMMENT = f'<!--data-limner="{A.id}"-->'
STRIPPED = f'<!--data-limner-failed="{written(F, HTML)[0]}"-->'


@pytest.mark.parametrize(
    ("place", "target", "leftover"),
    [("replace-image", A, COMMENT), ("replace", CAT.id, COMMENT), ("retry", F, STRIPPED)],
)
def test_a_leftover_of_what_is_replaced_goes_with_it(place, target, leftover):
    text = TEXT.replace(" y", f"{leftover} y")
    assert revised(text, got(place, target, N)).text == page(N)


def test_a_leftover_is_removed_as_a_picture_is():
    assert remove(TEXT.replace(" y", f"{COMMENT} y"), A.id, notation=HTML) == TEXT


@pytest.mark.parametrize("leftover", [COMMENT, STRIPPED])
def test_a_leftover_is_no_picture_of_its_prompt(leftover):
    text = TEXT.replace(" y", f"{leftover} y")
    assert [request.prompt for request in requests_of(text, REGISTRY, only_missing=True)] == [
        CAT,
        DOG,
    ]
    placed = REGISTRY.settle("m", RegistryUpdate(placed=(A,)), text)
    assert [request.prompt for request in requests_of(text, placed, only_missing=True)] == [DOG]


@pytest.mark.parametrize("place", ["replace-image", "replace", "retry"])
def test_what_a_picture_should_replace_stays_if_its_mark_is_too_long(place):
    text, long = page(A, F), N.but(picture=N.picture.but(url="data:," + "A" * MAX_MARK))
    target = {"replace": CAT.id, "retry": F}.get(place, A)
    result = revised(text, got(place, target, long))
    assert result.text == text
    assert not result.removed
    assert [one.reason for one in result.unplaced] == [TOO_LONG]


def test_two_outcomes_with_one_picture_are_both_placed_by_one_mark():
    twin = N.but(task_id=task_id("t", CAT.id, 0))
    result = revised(page(A), got("append", CAT.id, N), got("append", CAT.id, twin))
    assert result.text == page(A, N)
    assert result.placed == (N, twin)


def test_a_picture_that_a_program_has_doubled_leaves_altogether():
    assert revised(page(A, B, A), got("replace-image", A, N)).text == page(N, B)
    assert remove(page(A, B, A), A.id) == page(B)


def test_a_successful_request_for_another_prompt_rewrites_its_tag():
    tiger = CAT.refined("tiger", source="manual")
    new = placement(tiger, b"n")
    outcome = got("replace-image", A, new, prompt=tiger, rewrites=True)
    result = revised(page(A, B), outcome)
    assert result.text == page(new, B, cat="tiger")
    assert [owner.prompt_id for owner in result.claims] == [tiger.id]
    registry = REGISTRY.settle(
        "m",
        RegistryUpdate(prompts=(tiger,), placed=result.placed, claims=result.claims),
        frozenset(),
    )
    again = revised(result.text, outcome, registry=registry)
    assert (again.text, again.claims) == (result.text, result.claims)
    (request,) = [
        request for request in requests_of(result.text, registry) if request.target == tiger.id
    ]
    assert request.prompt == tiger


def opened(text, registry=REGISTRY, notation=HTML):
    return MarkEditor(PromptTags(text, registry, message_id="m", notation=notation))


def requests_of(text, registry, **options):
    return request_all(opened(text, registry), "append", **options)


def test_a_failed_request_for_another_prompt_rewrites_nothing():
    tiger = CAT.refined("tiger", source="manual")
    outcome = got("replace-image", A, failure(tiger), prompt=tiger, rewrites=True)
    result = revised(page(A), outcome)
    assert result.text == page(A, failure(tiger))
    assert result.claims is None


def test_of_two_prompts_for_one_tag_the_last_is_written():
    tiger, lion = (CAT.refined(name, source="manual") for name in ("tiger", "lion"))
    outcomes = [
        got("append", CAT.id, placement(one), prompt=one, rewrites=True) for one in (tiger, lion)
    ]
    result = revised(page(A), *outcomes)
    assert result.text == page(A, placement(tiger), placement(lion), cat="lion")


def test_a_prompt_that_cannot_be_written_leaves_the_tag_and_places_the_picture():
    notation = Notation(patterns=(r"\{(cat|dog)\}", r"\{\{(.*?)\}\}"))
    text = "{cat} {{dog}}"
    cat, dog = (Prompt.of("m", match) for match in scan(text, notation))
    owl, fox = cat.refined("owl", source="manual"), dog.refined("fox", source="manual")
    outcomes = [
        got("append", parent.id, placement(one), prompt=one, rewrites=True)
        for parent, one in ((cat, owl), (dog, fox))
    ]
    result = revised(text, *outcomes, notation=notation)
    marks = [written(placement(one), notation)[1] for one in (owl, fox)]
    assert result.text == f"{{cat}}{marks[0]} {{{{fox}}}}{marks[1]}"
    assert [owner.prompt_id for owner in result.claims] == [fox.id]


@st.composite
def revisions(draw):
    """A scene, and outcomes of requests for it."""
    bare, text, registry, notation = draw(scenes())
    marks = [mark.id for mark in find_marks(text, scan(text, notation)) if mark.kind == "picture"]
    prompts_there = [Prompt.of("m", match) for match in scan(text, notation)]
    editor = opened(text, registry, notation)
    requests = list(request_retries(editor))
    requests += request_all(editor, "replace")
    requests += request_all(editor, "append")
    for target in marks:
        mode = draw(st.sampled_from(["replace-image", "append-after-image", "append-after-prompt"]))
        said = draw(st.none() | prompts)
        with suppress(SettingsInvalid):  # some tags cannot say it
            requests.append(request_one(editor, target, mode, said))
    outcomes = []
    for request in draw(
        st.lists(st.sampled_from(requests), max_size=6) if requests else st.just([])
    ):
        picture = draw(st.sampled_from([b"a", b"b", b"c", b"d", None]))
        if picture is None:
            one = failure(request.prompt, draw(st.integers(0, 3)), reason=draw(prompts))
            outcomes.append(RequestOutcome(request=request, failure=one))
        else:
            one = placement(request.prompt, picture, url=draw(urls))
            outcomes.append(RequestOutcome(request=request, placement=one))
    assert len(prompts_there) == len(scan(bare, notation))
    return bare, text, registry, notation, outcomes


@settings(max_examples=100)
@given(revisions())
def test_a_revision_changes_marks_and_tags_alone_and_done_again_nothing(case):
    bare, text, registry, notation, outcomes = case
    if find_marks(bare):
        return
    result = revised(text, *outcomes, registry=registry, notation=notation)
    completed = [outcome.placement for outcome in outcomes if outcome.placement is not None]
    there = {mark.id for mark in find_marks(result.text, scan(result.text, notation))}
    # each is in one of the two, once
    assert sorted(
        map(repr, [*result.placed, *(one.placement for one in result.unplaced)])
    ) == sorted(map(repr, completed))
    assert {placement.id for placement in result.placed} <= there
    assert not {one.placement.id for one in result.unplaced} & there
    before = {mark.id for mark in find_marks(text, scan(text, notation)) if mark.kind == "picture"}
    assert set(result.removed) == before - there
    # nothing else than marks and the rewritten tags is changed
    old, new = scan(text, notation), scan(result.text, notation)
    plain = without_marks(result.text, notation)
    rewritten = {
        at: outcome.request.prompt
        for at in range(len(old))
        for outcome in outcomes
        if old[at].text != new[at].text and outcome.request.rewrites
    }
    assert len(old) == len(new)
    if not rewritten:
        assert plain == bare
    assert between(plain, notation) == between(bare, notation)
    assert nothing_overlaps(result.text, notation)
    # done again
    links = RegistryUpdate(
        prompts=tuple(outcome.request.prompt for outcome in outcomes),
        placed=result.placed,
        removed=result.removed,
        claims=result.claims,
    )
    registry = registry.settle("m", links, frozenset(there))
    again = revised(result.text, *outcomes, registry=registry, notation=notation)
    assert again.text == result.text
    assert again.placed == result.placed
    assert not again.removed
    assert again.claims in {None, registry.claims}


@settings(max_examples=100)
@given(revisions(), st.randoms(use_true_random=False))
def test_what_was_replaced_stays_out_though_another_program_had_stripped_it(case, random):
    bare, text, registry, notation, outcomes = case
    if find_marks(bare):
        return
    before = [mark.id for mark in find_marks(text, scan(text, notation)) if mark.kind == "picture"]
    stripped = {name for name in before if random.random() < 0.5}
    for name in stripped:
        text = remove(text, name, notation=notation)
    result = revised(text, *outcomes, registry=registry, notation=notation)
    there = {mark.id for mark in find_marks(result.text, scan(result.text, notation))}
    placed = {placement.id for placement in result.placed}
    came = [
        one.request for one in outcomes if one.placement is not None and one.placement.id in placed
    ]
    replaced = {
        name
        for name in stripped
        for one in came
        if (one.place == "replace-image" and one.target == name)
        or (one.place == "replace" and one.target == name.partition(":")[0])
    }
    assert set(result.removed) == (replaced | (set(before) - stripped)) - there
    assert len(set(result.removed)) == len(result.removed)
    links = RegistryUpdate(placed=result.placed, removed=result.removed, claims=result.claims)
    registry = registry.settle("m", links, result.text)
    put_back = reconcile(result.text, registry, message_id="m", notation=notation).placed
    assert replaced.isdisjoint(one.id for one in put_back)


def test_what_is_stripped_stays_known_as_placed_if_what_was_to_replace_it_fails():
    registry = REGISTRY.settle("m", RegistryUpdate(placed=(A, B)), "")
    for outcome in (
        got("replace-image", A, F),
        got("replace", CAT.id, F),
        got("append", CAT.id, N),
        got("append-after-image", A, N),
        got("replace-image", A, A),
        got("replace", DOG.id, placement(DOG)),
    ):
        assert revised(page(B), outcome, registry=registry).removed == ()
    assert revised("no tag", got("replace-image", A, N), registry=registry).removed == ()
    alone = f"no tag {written(N, HTML)[1]}"
    assert revised(alone, got("replace", CAT.id, N), registry=registry).removed == ()
    assert revised(page(B), got("replace-image", A, N), registry=registry).removed == (A.id,)
    past = registry.settle("m", RegistryUpdate(removed=(A.id,)), "")
    assert revised(page(B), got("replace", CAT.id, N), registry=past).removed == (B.id,)


def between(text, notation):
    """Return what stands between the tags of a text."""
    ends = [0]
    pieces = []
    for match in scan(text, notation):
        pieces.append(text[ends[-1] : match.start])
        ends.append(match.end)
    return [*pieces, text[ends[-1] :]]


@settings(max_examples=100)
@given(cases(), st.randoms(use_true_random=False))
def test_removing_undoes_composing_in_any_order(case, random):
    text, notation, placements, _ = case
    if find_marks(text):
        return
    composed = put(text, placements, notation=notation)
    left = list({placement.id for placement in composed.placed})
    random.shuffle(left)
    result = composed.text
    for name in left:
        result = remove(result, name, notation=notation)
        assert nothing_overlaps(result, notation)
    assert result == text
    assert remove(result, A.id, notation=notation) is None


def test_a_line_that_a_picture_shares_stays_until_the_last_one_leaves():
    notation = Notation(markup="markdown")
    text = f"{tag('cat', 1)} after"
    both = put(text, [A, B], notation=notation).text
    assert both.startswith(tag("cat", 1) + "\n![")
    one = put(text, [B], notation=notation).text
    assert remove(both, A.id, notation=notation) == one
    assert remove(one, B.id, notation=notation) == text


def request(text, target=A.id, mode="replace-image", prompt=None, registry=REGISTRY, notation=HTML):
    return request_one(opened(text, registry, notation), target, mode, prompt)


def test_a_request_is_for_the_prompt_of_its_picture():
    assert request(page(A)) == PictureRequest(
        prompt=CAT, place="replace-image", target=A.id, owner=CAT.id
    )
    assert request(page(A), registry=Registry()).prompt == CAT
    assert request(page(A), mode="append-after-prompt").target == CAT.id
    assert request(page(A), prompt=" cat ") == request(page(A)).but(rewrites=True)


def test_a_request_for_another_prompt_is_for_a_child_and_rewrites():
    made = request(page(A), prompt=" tiger ")
    assert made.prompt == CAT.refined("tiger", source="manual")
    assert (made.target, made.rewrites) == (A.id, True)


@pytest.mark.parametrize("prompt", ["", "  ", "x" * 2_001])
def test_a_prompt_that_is_empty_or_too_long_is_refused(prompt):
    with pytest.raises(SettingsInvalid, match="1 to 2,000"):
        request(page(A), prompt=prompt)


def test_a_picture_that_is_not_there_or_of_unknown_prompt_is_refused_in_one_line():
    with pytest.raises(UnknownPicture, match="holds no picture"):
        request(page(B))
    with pytest.raises(UnknownPicture, match="holds no picture") as refused:
        request(page(B), target="\n" * 10_000)
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)
    with pytest.raises(UnknownPicture, match="holds no failure"):
        request(page(F), target=G.id)
    with pytest.raises(UnknownPicture, match="nothing is known"):
        request(written(A, HTML)[1], registry=Registry())


def test_a_picture_of_another_message_has_the_prompt_of_the_tag_that_it_stands_after():
    stranger, more = (A.but(prompt_id=digit * 20) for digit in "01")
    text = page(A, stranger, more)
    made = request(text, target=more.id)
    assert made == PictureRequest(prompt=CAT, place="replace-image", target=more.id, owner=CAT.id)
    assert revised(text, RequestOutcome(request=made, placement=N)).text == page(A, stranger, N)
    made = request(text, target=more.id, mode="append-after-image")
    assert revised(text, RequestOutcome(request=made, placement=N)).text == page(
        A, stranger, more, N
    )
    made = request(text, target=stranger.id, prompt="tiger")
    new = placement(made.prompt, b"n")
    result = revised(text, RequestOutcome(request=made, placement=new))
    assert result.text == page(A, new, more, cat="tiger")
    with pytest.raises(UnknownPicture, match="nothing is known"):
        request(text.replace(written(stranger, HTML)[1], "x"), target=more.id)


def test_a_failure_of_another_message_is_retried_with_the_tag_that_it_stands_after():
    stranger = F.but(prompt_id="0" * 20)
    (made,) = request_retries(opened(page(stranger)))
    assert made.prompt == CAT
    assert revised(page(stranger), RequestOutcome(request=made, placement=N)).text == page(N)


def test_a_prompt_that_its_tag_cannot_say_is_refused_before_anything_is_drawn():
    notation = Notation(patterns=(r"<img-prompt=\"(cat|dog)\">",))
    with pytest.raises(SettingsInvalid, match="cannot be written in its tag"):
        request(page(A), prompt="owl", notation=notation)
    assert request(page(A), prompt="dog", notation=notation).rewrites


def test_a_prompt_that_was_refined_is_judged_as_a_text_is():
    notation = Notation(patterns=(r"<img-prompt=\"(cat|dog)\">",))
    owl, dog = (CAT.refined(name, source="manual") for name in ("owl", "dog"))
    puppy = DOG.refined("puppy", source="manual")
    known = REGISTRY.add(owl, dog, puppy)
    with pytest.raises(SettingsInvalid, match="'owl' cannot be written in its tag"):
        request(page(A), prompt=owl, registry=known, notation=notation)
    assert request(page(A), prompt=dog, registry=known, notation=notation).rewrites
    with pytest.raises(SettingsInvalid, match="'puppy' was not refined from that of the picture"):
        request(page(A), prompt=puppy, registry=known)
    with pytest.raises(UnknownPrompt, match="make it with refine"):
        request(page(A), prompt=CAT.refined("lion", source="manual"), registry=known)


def test_a_tag_comes_to_say_the_root_again():
    tiger = CAT.refined("tiger", source="manual")
    new = placement(tiger, b"n")
    text = page(A, new, cat="tiger")
    claims = PromptTags(page(A), REGISTRY, message_id="m").rewritten({0: tiger}).claims
    registry = REGISTRY.settle(
        "m", RegistryUpdate(prompts=(tiger,), placed=(A, new), claims=claims), ""
    )
    for target, prompt in ((new, CAT), (A, CAT), (A, "cat")):
        made = request(text, target=target.id, prompt=prompt, registry=registry)
        assert (made.prompt, made.rewrites) == (CAT, True)
        result = revised(text, RequestOutcome(request=made, placement=B), registry=registry)
        assert "tiger" not in PromptTags(result.text, message_id="m").matches[0].tag
        assert result.claims == ()
    assert not request(text, target=A.id, registry=registry).rewrites


def test_a_prompt_that_holds_one_tag_does_not_come_to_hold_another():
    tiger = CAT.refined("tiger", source="manual")
    new = placement(tiger, b"n")
    registry = REGISTRY.add(tiger).but(
        claims=(TagOwner(prompt_id=tiger.id, text="tiger", ordinal=0),)
    )
    text = page(new, cat="tiger") + tag("cat", 1)  # which names the root
    made = request(text, target=new.id, prompt=CAT, registry=registry)
    result = revised(text, RequestOutcome(request=made, placement=N), registry=registry)
    assert result.text == page(N, cat="tiger") + tag("cat", 1)


@settings(max_examples=100)
@given(scenes(), st.data())
def test_a_tag_says_what_was_requested_or_that_is_refused(scene, data):
    _, text, registry, notation = scene
    for number in range(3):
        tags = scan(text, notation)
        marks = [mark for mark in find_marks(text, tags) if mark.kind == "picture"]
        family = [prompt for prompt in registry.prompts if prompt.text.strip()]
        if not marks or not family:
            return
        target = data.draw(st.sampled_from(marks)).id
        prompt = data.draw(prompts | st.sampled_from(family))
        try:
            made = request(text, target, prompt=prompt, registry=registry, notation=notation)
        except (SettingsInvalid, UnknownPicture):
            continue
        new = placement(made.prompt, b"new%d" % number)
        result = revised(
            text, RequestOutcome(request=made, placement=new), registry=registry, notation=notation
        )
        links = RegistryUpdate(
            prompts=(made.prompt,),
            placed=result.placed,
            removed=result.removed,
            claims=result.claims,
        )
        registry = registry.settle("m", links, result.text)
        text = result.text
        after = PromptTags(text, registry, message_id="m", notation=notation)
        assert len(after.matches) == len(tags)
        at = after.index(made.prompt.id)
        assert at is not None
        assert after.owners[at] == made.prompt.id
        assert canonical(after.matches[at].text) == canonical(made.prompt.text)


def test_a_failed_request_for_another_prompt_is_retried_with_its_tag():
    tiger, lion = (CAT.refined(name, source="manual") for name in ("tiger", "lion"))
    lost = failure(tiger)

    def retried(text, registry):
        (made,) = request_retries(opened(text, registry))
        new = placement(made.prompt, b"n")
        return revised(text, RequestOutcome(request=made, placement=new), registry=registry).text

    new = placement(tiger, b"n")
    assert retried(page(A, lost), REGISTRY.add(tiger)) == page(A, new, cat="tiger")
    assert retried(page(A, lost), Registry().add(tiger)) == page(A, new, cat="tiger")
    assert retried(page(A, F), REGISTRY.add(tiger)) == page(A, N)
    # the tag was rewritten since: what it says now is drawn
    claims = PromptTags(page(A), REGISTRY, message_id="m").rewritten({0: lion}).claims
    later = REGISTRY.add(tiger, lion).but(claims=claims)
    of_lion = placement(lion, b"n")
    assert retried(page(A, lost, cat="lion"), later) == page(A, of_lion, cat="lion")
    assert retried(page(A, F, cat="lion"), later) == page(A, of_lion, cat="lion")
    earlier = REGISTRY.add(lion, tiger).but(claims=claims)
    assert retried(page(A, lost, cat="lion"), earlier) == page(A, new, cat="tiger")


def test_of_a_tag_that_was_changed_by_hand_what_it_says_is_drawn():
    changed = page(A, F, cat="a red cat")
    (red, _) = PromptTags(changed, REGISTRY, message_id="m").owners
    (again,) = request_retries(opened(changed, REGISTRY))
    assert (again.prompt.id, again.prompt.text, again.rewrites) == (red, "a red cat", False)
    new = placement(again.prompt, b"n")
    result = revised(changed, RequestOutcome(request=again, placement=new))
    assert result.text == page(A, new, cat="a red cat")
    for mode in ("replace-image", "append-after-image", "append-after-prompt"):
        assert request(changed, target=A.id, mode=mode).prompt == again.prompt
    refined = request(changed, target=A.id, prompt="a blue cat")
    assert (refined.prompt.parent_id, refined.rewrites) == (red, True)


def test_a_picture_of_before_a_rewrite_is_made_anew_from_its_own_prompt():
    tiger = CAT.refined("tiger", source="manual")
    claims = PromptTags(page(A), REGISTRY, message_id="m").rewritten({0: tiger}).claims
    registry = REGISTRY.add(tiger).but(claims=claims)
    assert request(page(A, cat="tiger"), registry=registry).prompt == CAT


@pytest.mark.parametrize("text", [page(F, G), page(after=(F, G))])
def test_one_failure_is_retried_by_its_id(text):
    (made,) = request_retries(opened(text, REGISTRY), G.id)
    assert (made.prompt, made.place, made.target) == (CAT, "retry", G.id)
    assert request(text, target=G.id).but(once=True) == made
    after_tag = request(text, target=G.id, mode="append-after-prompt")
    assert (after_tag.place, after_tag.target) == ("append-after-prompt", CAT.id)
    other = request(text, target=G.id, prompt="tiger")
    assert (other.prompt.parent_id, other.place, other.rewrites) == (CAT.id, "retry", True)


def test_a_failure_without_a_mark_is_retried_only_where_failures_leave_none():
    with pytest.raises(UnknownPicture, match="holds no failure"):
        request_retries(opened(page(A), REGISTRY), F.id)
    editor = opened(page(A), REGISTRY, Notation())
    (made,) = request_retries(editor, F.id)
    new = RequestOutcome(request=made, placement=N)
    assert revised(page(A), new, notation=Notation()).text == page(A, N)
    with pytest.raises(UnknownPicture, match="holds no failure"):
        request_retries(editor, f"{'0' * 20}:{F.task_id}")


@pytest.mark.parametrize(
    ("before", "request_failed", "after", "removed"),
    [
        ((A, B), ("replace-image", A), (N, B), [A]),
        ((A, B), ("append-after-image", A), (A, N, B), []),
        ((A, B), ("replace", CAT.id), (N,), [A, B]),
        ((A, B), ("append", CAT.id), (A, B, N), []),
    ],
)
@pytest.mark.parametrize("tries", [1, 2])
def test_a_retry_does_what_the_failed_request_was_to_do(
    before, request_failed, after, removed, tries
):
    text, registry = page(*before), REGISTRY.settle("m", RegistryUpdate(placed=before), "")
    failed = revised(text, got(*request_failed, F), registry=registry)
    for number in range(1, tries + 1):
        update = RegistryUpdate(failures=failed.failures, answered=failed.answered)
        registry = registry.settle("m", update, failed.text)
        (again,) = request_retries(opened(failed.text, registry))
        if number < tries:
            outcome = RequestOutcome(request=again, failure=failure(CAT, number))
            failed = revised(failed.text, outcome, registry=registry)
            assert [one.id for one in failed.failures] == [failure(CAT, number).id]
            assert failed.answered == (F.id,)
    result = revised(failed.text, RequestOutcome(request=again, placement=N), registry=registry)
    assert result.text == page(*after)
    assert list(result.removed) == [one.id for one in removed]
    assert result.answered == tuple(one.id for one in registry.failures)


def test_a_failed_rewrite_is_tried_again_unless_the_tag_was_changed_since():
    tiger = CAT.refined("tiger", source="manual")
    known = REGISTRY.add(tiger)
    outcome = got("replace-image", A, failure(tiger), prompt=tiger, rewrites=True)
    outcome = outcome.but(request=outcome.request.but(owner=CAT.id))
    failed = revised(page(A), outcome, registry=known)
    known = known.settle("m", RegistryUpdate(failures=failed.failures), failed.text)
    (again,) = request_retries(opened(failed.text, known))
    assert (again.prompt, again.rewrites, again.replaces) == (tiger, True, A.id)
    lion = CAT.refined("lion", source="manual")
    claims = PromptTags(page(A), REGISTRY, message_id="m").rewritten({0: lion}).claims
    changed = failed.text.replace(tag("cat", 1), tag("lion", 1))
    (again,) = request_retries(opened(changed, known.add(lion).but(claims=claims)))
    assert (again.prompt, again.rewrites) == (lion, False)


def test_one_prompt_that_cannot_be_written_costs_a_few_looks_through_the_text(monkeypatch):
    looked = []
    find = tags_module.find_prompts
    monkeypatch.setattr(
        tags_module,
        "find_prompts",
        lambda text, *a, **k: looked.append(len(text)) or find(text, *a, **k),
    )
    text = " ".join(tag(f"p{at}", 1) for at in range(100))
    found = [Prompt.of("m", match) for match in PromptTags(text, message_id="m").matches]
    made = [one.refined(f"{one.text} b", source="manual") for one in found]
    made[70] = found[70].refined("x" * 1_999, source="manual")
    outcomes = [
        got("append", parent.id, placement(one), prompt=one, rewrites=True)
        for parent, one in zip(found, made, strict=True)
    ]
    looked.clear()
    result = revised(text, *outcomes, registry=Registry().add(*found))
    assert len(result.placed) == 100
    assert [match.text for match in scan(result.text, HTML)] == [
        *(one.text for one in made[:70]),
        "p70",
        *(one.text for one in made[71:]),
    ]
    assert sum(looked) < 20 * len(result.text)


def test_a_message_is_illustrated_again_tag_by_tag():
    requests = requests_of(page(A), REGISTRY)
    assert [(one.prompt, one.target) for one in requests] == [(CAT, CAT.id), (DOG, DOG.id)]
    (only,) = requests_of(page(A), REGISTRY, only_missing=True)
    assert only.prompt == DOG
    apart = page().replace(" y ", f"</p>{written(A, HTML)[1]} y ")
    assert [request.prompt for request in requests_of(apart, REGISTRY, only_missing=True)] == [DOG]
    registry = REGISTRY.settle("m", RegistryUpdate(placed=(A,)), frozenset())
    unmarked = page().replace(" y ", f'<img src="{A.picture.url}"> y ')
    assert [request.prompt for request in requests_of(unmarked, registry, only_missing=True)] == [
        DOG
    ]


def test_a_picture_directly_after_a_tag_counts_whatever_prompt_it_names():
    stranger = A.but(prompt_id="0" * 20)
    text = page().replace(" y ", f"{written(stranger, HTML)[1]} y ", 1)
    assert len(requests_of(text, REGISTRY)) == 2
    assert len(requests_of(text, REGISTRY, only_missing=True)) == 1


def test_a_prompt_that_only_a_failure_has_left_a_mark_of_has_no_picture():
    made = requests_of(page(F, G), REGISTRY, only_missing=True)
    assert [(one.prompt, one.place) for one in made] == [(CAT, "retry"), (DOG, "append")]
    result = revised(page(F, G), *(RequestOutcome(request=one, placement=N) for one in made[:1]))
    assert result.text == page(N)
    assert [request.target for request in requests_of(page(A, F), REGISTRY, only_missing=True)] == [
        DOG.id
    ]
    tiger = CAT.refined("tiger", source="manual")
    known = REGISTRY.add(tiger)
    (other, _) = requests_of(page(failure(tiger)), known, only_missing=True)
    assert (other.prompt, other.place, other.rewrites) == (CAT, "append", False)


def test_what_is_missing_or_failed_is_requested_once_a_session():
    assert all(request.once for request in requests_of(page(F), REGISTRY, only_missing=True))
    assert all(one.once for one in request_retries(opened(page(F))))
    assert not any(request.once for request in requests_of(page(F), REGISTRY))
    assert not request(page(A)).once


def test_a_mark_of_a_failure_is_retried_if_its_prompt_is_known():
    stranger = DOG.but(id="0" * 20)
    text = page(F, G, F) + written(failure(stranger), HTML)[1]
    requests = request_retries(opened(text))
    assert [(one.prompt, one.place) for one in requests] == [(CAT, "retry")] * 2
    assert [one.target for one in requests] == [f"{CAT.id}:{one.task_id}" for one in (F, G)]


def test_ten_thousand_tags_and_marks_are_looked_through_a_few_times_only(monkeypatch):
    looked = []
    for module in (page_module, tags_module):
        find = module.find_prompts
        monkeypatch.setattr(
            module,
            "find_prompts",
            lambda text, *a, find=find, **k: looked.append(len(text)) or find(text, *a, **k),
        )
    text = "".join(f"{tag(f'p{at}', 1)} and " for at in range(2_000))
    found = [Prompt.of("m", match) for match in PromptTags(text, message_id="m").matches]
    outcomes = [got("append", one.id, placement(one), prompt=one) for one in found]
    children = [one.refined(f"{one.text} b", source="manual") for one in found]
    outcomes += [
        got("append", parent.id, placement(one), prompt=one, rewrites=True)
        for parent, one in zip(found, children, strict=True)
    ]
    looked.clear()
    result = revised(text, *outcomes, registry=Registry().add(*found))
    assert len(result.placed) == 4_000
    assert sum(looked) < 4 * len(result.text)
