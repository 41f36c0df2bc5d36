"""What is known of a message, as a value: what each step makes of it."""

from hypothesis import given
from hypothesis import strategies as st

from limner.messages.ids import picture_id, prompt_id
from limner.messages.pictures import Picture, Placement
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.tasks import Task
from limner.messages.text.marks import mark

NOTHING = Registry()


def prompt(text="a boat", ordinal=0):
    name = prompt_id("story.md", text, ordinal)
    return Prompt(id=name, message_id="story.md", text=text, ordinal=ordinal)


def picture(number=0):
    name = picture_id(b"%d" % number)
    return Picture(id=name, url=f"{number}.png", media_type="image/png", width=1, height=1)


def task(of, session="session"):
    return Task.requested(of, session_id=session, owner=None, priority=3, at=0)


def placement(of, number=0):
    return Placement(prompt_id=of.id, prompt=of.text, picture=picture(number), task_id=task(of).id)


def states(registry):
    return {link.placement.id: link.state for link in registry.links}


def settled(registry, text="", **links):
    return registry.settle("story.md", RegistryUpdate(**links), text)


def test_a_prompt_that_is_known_stays_as_it_is():
    known = NOTHING.add(prompt())
    again = known.add(prompt().but(source="manual", feedback="why"), prompt("the sea"))
    assert again.prompts == (prompt(), prompt("the sea"))


def test_a_picture_that_is_kept_again_is_the_newest():
    known = NOTHING
    for number in (1, 2, 1):
        known = known.keep(task(prompt()), picture(number))
    assert known.kept() == {prompt().id: picture(1)}
    assert [link.placement.picture for link in known.pictures(prompt().id)] == [
        picture(2),
        picture(1),
    ]
    assert known.prompts == (prompt(),)


def test_a_kept_prompt_has_the_ordinal_of_its_task():
    assert NOTHING.keep(task(prompt(ordinal=2)), picture()).prompts == (prompt(ordinal=2),)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3))))
def test_keeping_many_is_keeping_one_after_another(kept):
    finished = [(task(prompt(str(one))), picture(number)) for one, number in kept]
    known = NOTHING
    for one in finished:
        known = known.keep(*one)
    assert NOTHING.keep_all(finished) == known


def test_what_a_write_has_placed_is_placed_and_what_it_has_not_waits():
    one, two = prompt("one"), prompt("two")
    known = NOTHING.keep(task(one), picture()).keep(task(two), picture())
    after = settled(known, placed=(placement(one),))
    assert states(after) == {placement(one).id: "placed", placement(two).id: "kept"}
    assert after.kept() == {two.id: picture()}


def test_a_picture_that_was_never_kept_is_known_after_the_write_that_placed_it():
    after = settled(NOTHING, placed=(placement(prompt()),))
    assert states(after) == {placement(prompt()).id: "placed"}
    assert after.prompts == (prompt(),)


def test_what_was_removed_is_past_even_if_it_had_been_made_again():
    one = placement(prompt())
    placed = settled(NOTHING, placed=(one,))
    assert states(settled(placed, removed=(one.id,))) == {one.id: "past"}
    again = placed.keep(task(prompt()), picture())
    assert states(settled(again, removed=(one.id,))) == {one.id: "past"}
    assert states(settled(again, removed=(one.id,), placed=(one,))) == {one.id: "placed"}


def test_a_new_text_lets_go_of_what_it_does_not_show():
    shown, gone = placement(prompt("one")), placement(prompt("two"))
    claim = TagOwner(prompt_id="p", text="uno", ordinal=0)
    known = settled(NOTHING, placed=(shown, gone), claims=(claim,))
    for markup in ("html", "markdown"):
        anew = settled(known, f"told anew {mark(shown, markup)}", anew=True)
        assert states(anew) == {shown.id: "placed", gone.id: "past"}
        assert anew.claims == ()
        assert anew.prompts == known.prompts
    assert settled(known, "told anew") == known


def test_claims_are_set_as_a_whole_or_left():
    one, two = (TagOwner(prompt_id=name, text="uno", ordinal=0) for name in "pq")
    known = settled(NOTHING, claims=(one,))
    assert settled(known).claims == (one,)
    assert settled(known, claims=(two,), anew=True).claims == (two,)
    assert settled(known, claims=()).claims == ()


def test_a_write_with_nothing_to_settle_changes_nothing():
    assert settled(NOTHING, "text", anew=True) is NOTHING


def test_the_line_of_a_prompt_goes_from_its_root_to_the_newest_that_follows_it():
    root = prompt()
    left, right = (root.refined(text, source="manual") for text in ("left", "right"))
    tip = left.refined("tip", source="model")
    known = NOTHING.add(root, left, right, tip)
    assert known.line(left.id) == (root, left, tip)
    assert known.line(root.id) == (root, right)
    assert known.line("nosuch") == ()


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 5))), st.integers(0, 5))
def test_a_line_ends_even_in_a_registry_that_another_program_has_bent(edges, asked):
    bent = Registry(
        prompts=tuple(
            prompt().but(id=str(name), parent_id=None if parent is None else str(parent))
            for name, parent in edges
        )
    )
    line = [one.id for one in bent.line(str(asked))]
    assert len(set(line)) == len(line)
    assert (str(asked) in line) == any(name == asked for name, _ in edges)


def test_a_registry_comes_back_from_json():
    known = settled(NOTHING.keep(task(prompt("“海”")), picture()), placed=(placement(prompt()),))
    known = known.add(prompt().refined("more", feedback="why", source="model"))
    assert Registry.model_validate_json(known.model_dump_json()) == known


def test_a_write_asks_for_the_marks_of_a_text_once_however_much_is_known(mocker):
    asked = mocker.spy(__import__("limner.messages.registry", fromlist=["x"]), "marked")
    many = tuple(placement(prompt(str(number))) for number in range(50))
    known = settled(NOTHING, placed=many)
    settled(known, "told anew", anew=True)
    settled(known, "told anew", placed=many, anew=True)
    assert asked.call_count == 1
