"""What a store promises that remembers prompts and their pictures; `conformance` runs it."""

from limner.actors.stores.conformance.fixtures import (
    Finished,
    Followed,
    Trial,
    equal,
    in_html,
    promise,
)
from limner.messages.prompts import TagOwner
from limner.messages.registry import RegistryUpdate


@promise("registry")
def nothing_is_known_of_what_is_unknown(trial: Trial) -> None:
    """An id that nobody has given is no error: there is nothing of it."""
    known = Followed(trial)
    known.write("once")
    known.keep(known.prompt("a lighthouse"))
    for name in ("", "nosuch", "f" * 20, "x" * 9_999, "' OR 1=1; --", "%", "a\0b", "\ud800", "é"):
        equal(known.store.prompt(name), None, f"prompt({name[:20]!r})")
        equal(tuple(known.store.pictures_of(name)), (), f"pictures_of({name[:20]!r})")
        equal(tuple(known.store.prompts_of(name)), (), f"prompts_of({name[:20]!r})")
    Followed(trial, trial.other_id).check("nothing")


@promise("registry")
def prompts_and_pictures_lead_to_each_other(trial: Trial) -> None:
    """A prompt leads to its pictures, oldest first; a picture to its prompts, of all messages."""
    mine, other = Followed(trial), Followed(trial, trial.other_id)
    mine.write("once")
    other.write("once")
    boat, sea, there = mine.prompt("a boat"), mine.prompt("the sea"), other.prompt("a boat")
    placed = [mine.keep(boat, 1), mine.keep(boat, 2), mine.keep(sea, 1)]
    other.keep(there, 1)
    mine.write(in_html(*placed), placed=tuple(placed[1:]), prompts=(sea, boat))
    mine.keep(boat, 2)
    other.check("changes of another message")
    for number, prompts in {1: (boat, sea, there), 2: (boat,), 3: ()}.items():
        held = mine.store.prompts_of(Finished.of(boat, number).picture.id)
        by_id = sorted(prompts, key=lambda prompt: prompt.id)
        equal(sorted(held, key=lambda prompt: prompt.id), by_id, f"prompts_of() picture {number}")


@promise("registry")
def the_history_of_a_prompt_is_a_tree_that_is_only_added_to(trial: Trial) -> None:
    """A prompt that is known is never changed, whatever comes under its id."""
    known = Followed(trial)
    root = known.add(known.prompt("a boat"))
    child = known.add(
        root.refined("a red boat", feedback="redder, “s'il te plaît”", source="manual")
    )
    known.add(child.refined("a red boat\n\t'at' \\ \"sea\" <b> 海", source="model"))
    known.add(root.refined("a blue boat", source="manual"))
    known.add(child.but(feedback="anything else", source="model", parent_id=None))
    placed = known.keep(child, 1)
    known.write(in_html(placed), placed=(placed,), prompts=(child.but(parent_id=None), root))
    history = [prompt.text for prompt in known.store.registry(known.message_id).line(child.id)]
    equal(history[:2], ["a boat", "a red boat"], "the history from the root on")


@promise("registry", "creates")
def prompts_are_known_before_there_is_a_text(trial: Trial) -> None:
    """A prompt that is added makes no text, and is still known when the first one is written."""
    known = Followed(trial)
    known.add(known.prompt("a boat"))
    known.keep(known.prompt("the sea"))
    equal(trial.store.load(trial.message_id), None, "load() after an add and a keep")
    known.write("once")


@promise("registry")
def claims_are_what_the_last_write_says_of_them(trial: Trial) -> None:
    """Claims are set as a whole; a write that says nothing of them leaves them."""
    known = Followed(trial)
    one = TagOwner(prompt_id="f" * 20, text='a "red" boat, 海', ordinal=1)
    two = TagOwner(prompt_id="a" * 20, text="the sea", ordinal=0)
    known.write("once", claims=(one, two))
    known.write("twice")
    known.write("thrice", claims=(two, one))
    known.write("again", claims=(one,))
    known.write("at last", claims=())


@promise("registry")
def a_text_that_is_anew_lets_go_of_the_old_one(trial: Trial) -> None:
    """Claims are forgotten, and what is not in the new text is past; prompts are remembered."""
    known = Followed(trial)
    stays, leaves, waits = (
        known.keep(known.prompt(name), number)
        for number, name in enumerate(("one", "two", "three"))
    )
    claim = TagOwner(prompt_id=stays.prompt_id, text="uno", ordinal=0)
    placed = (stays, leaves)
    known.write(in_html(*placed), placed=placed, claims=(claim,))
    known.write(f"told anew, {in_html(stays)}", anew=True)
    known.write(in_html(*placed, waits), placed=(leaves, waits), claims=(claim,), anew=True)
    known.write("told once more", anew=True)


@promise("registry")
def a_picture_that_was_taken_out_is_past(trial: Trial) -> None:
    """What a write has removed does not come back by itself; another write may place it again."""
    known = Followed(trial)
    one, two = (known.keep(known.prompt("a boat"), number) for number in (1, 2))
    known.write(in_html(one, two), placed=(one, two))
    known.write(in_html(two), removed=(one.id, "nosuch:picture"))
    known.write(in_html(two), placed=(two,), removed=(two.id,))
    known.write(in_html(one), placed=(one,), removed=(two.id,))


@promise("registry")
def a_picture_that_was_never_kept_is_registered_by_its_write(trial: Trial) -> None:
    """A write may place what another store has kept; its prompt is known then."""
    known = Followed(trial)
    prompts = [known.prompt("a boat", ordinal) for ordinal in range(2)]
    placed = tuple(
        Finished.of(prompt)._replace(picture=known.elsewhere(number)).placement
        for number, prompt in enumerate(prompts)
    )
    known.write(in_html(*placed), placed=placed, prompts=(prompts[1],))


@promise("registry")
def a_write_that_conflicts_settles_nothing(trial: Trial) -> None:
    """The registry is as it was: no prompt, no picture, no claim of that write is known."""
    known = Followed(trial)
    one, two = (known.keep(known.prompt(name)) for name in ("one", "two"))
    known.write(in_html(one), placed=(one,))
    links = RegistryUpdate(
        prompts=(known.prompt("three"),),
        placed=(two,),
        removed=(one.id,),
        claims=(TagOwner(prompt_id=one.prompt_id, text="uno", ordinal=0),),
        anew=True,
    )
    trial.refused(in_html(two), "of another store", links)
    trial.refused(in_html(two), None, links)
    known.check("conflicts")


@promise("registry", "durable")
def a_registry_outlives_the_store(trial: Trial) -> None:
    """Opened again, a store knows all that it knew."""
    known = Followed(trial)
    root = known.add(known.prompt("a boat"))
    child = known.add(root.refined("a red boat", feedback="redder", source="model"))
    one, two, three = known.keep(root, 1), known.keep(child, 2), known.keep(child, 3)
    claim = TagOwner(prompt_id=child.id, text="a red boat", ordinal=0)
    known.write(in_html(one, two), placed=(one, two), claims=(claim,))
    known.write(in_html(two), removed=(one.id,))
    trial.reopen()
    known.check("it was opened again")
    known.write(in_html(two, three), placed=(three,))
    held = known.store.prompts_of(two.picture.id)
    equal([prompt.id for prompt in held], [child.id], "prompts_of() of the store opened again")
