"""What a store promises that can forget; `conformance` runs it. One that cannot passes."""

from limner.actors.stores.conformance.fixtures import Finished, Followed, Trial, equal, promise
from limner.actors.stores.protocol import can_forget
from limner.messages.ids import owner_id
from limner.messages.prompts import TagOwner
from limner.messages.registry import Registry


@promise("registry")
def a_message_that_is_forgotten_leaves_only_its_text(trial: Trial) -> None:
    """Forgetting takes all that is known of one message, and nothing of another."""
    store = trial.store
    if not can_forget(store):
        return
    mine, other = Followed(trial), Followed(trial, trial.other_id)
    mine.write("once")
    other.write("once")
    boat, sea = mine.prompt("a boat"), mine.prompt("the sea")
    placed = mine.keep(boat, 1)
    child = mine.add(boat.refined("a red boat", source="manual"))
    mine.keep(sea, 2)
    other.keep(other.prompt("a boat"), 1)
    claim = TagOwner(prompt_id=child.id, text="a red boat", ordinal=0)
    mine.write("once more", placed=(placed,), claims=(claim,))
    held = store.load(mine.message_id)
    forgotten = store.forget(mine.message_id)
    equal(forgotten.message_id, mine.message_id, "message_id of what forget() gives")
    equal(forgotten.prompts, 3, "prompts of what forget() gives")
    equal(store.registry(mine.message_id), Registry(), "registry() after forget()")
    equal(dict(store.kept(mine.message_id)), {}, "kept() after forget()")
    equal(store.load(mine.message_id), held, "load() after forget()")
    for prompt in (boat, sea, child):
        equal(store.prompt(prompt.id), None, "prompt() after forget()")
        equal(tuple(store.pictures_of(prompt.id)), (), "pictures_of() after forget()")
    equal(tuple(store.prompts_of(Finished.of(sea, 2).picture.id)), (), "prompts_of() after it")
    other.check("another message was forgotten")


@promise("registry", "durable")
def what_was_forgotten_stays_forgotten(trial: Trial) -> None:
    """A message that was forgotten is still that when the store is opened again."""
    store = trial.store
    if not can_forget(store):
        return
    known = Followed(trial)
    known.write("once")
    known.keep(known.prompt("a boat"), 1)
    store.forget(known.message_id)
    trial.reopen()
    equal(known.store.registry(known.message_id), Registry(), "registry() once it is open again")


@promise("registry")
def what_was_forgotten_can_begin_anew(trial: Trial) -> None:
    """Forgetting twice, or what is not known, is no error; a new picture is as the first one."""
    store = trial.store
    if not can_forget(store):
        return
    known = Followed(trial)
    equal(store.forget(known.message_id).prompts, 0, "prompts of a message that is not known")
    known.write("once")
    prompt = known.prompt("a boat")
    known.keep(prompt, 1)
    store.forget(known.message_id)
    equal(store.forget(known.message_id).pictures, (), "pictures of a message forgotten before")
    known.value = Registry()
    placed = known.keep(prompt, 1)
    known.write("again", placed=(placed,))


@promise("registry")
def a_picture_goes_with_the_last_message_that_has_it(trial: Trial) -> None:
    """Forgetting deletes the bytes of a picture once no other message has it, and not before."""
    store = trial.store
    if not can_forget(store):
        return
    mine, other = Followed(trial), Followed(trial, trial.other_id)
    mine.write("once")
    other.write("once")
    shared = mine.keep(mine.prompt("a boat"), 1).picture.id
    own = mine.keep(mine.prompt("the sea"), 2).picture.id
    other.keep(other.prompt("a boat"), 1)
    gone = store.forget(mine.message_id).pictures
    equal(shared in gone, False, "whether the bytes of another message's picture were deleted")
    other.check("another message with the same picture was forgotten")
    if own in gone:  # a store may leave bytes, if something else deletes them
        equal(store.forget(other.message_id).pictures, (shared,), "pictures of the last one")


@promise("registry")
def messages_are_found_by_their_owners(trial: Trial) -> None:
    """The messages of an owner are those for which pictures were requested on their behalf."""
    store = trial.store
    if not can_forget(store):
        return
    mine, other = Followed(trial), Followed(trial, trial.other_id)
    mine.write("once")
    other.write("once")
    mine.keep(mine.prompt("a boat"), 1)
    equal(store.registry(mine.message_id).owners, (owner_id("Ada"),), "owners of registry()")
    equal(list(store.messages_of("Ada")), [mine.message_id], "messages_of() an owner")
    other.keep(other.prompt("a boat"), 1)
    equal(sorted(store.messages_of("Ada")), sorted(trial.ids), "messages_of() with two")
    for name in ("ada", "Ad", "Ada ", "%", "' OR 1=1; --", "é" * 100):
        equal(list(store.messages_of(name)), [], f"messages_of({name[:20]!r})")
    store.forget(mine.message_id)
    equal(list(store.messages_of("Ada")), [other.message_id], "messages_of() after forget()")


@promise("registry")
def a_picture_kept_while_another_message_is_forgotten_stays(trial: Trial) -> None:
    """A picture that one message keeps is not lost as another one that has it is forgotten."""
    store = trial.store
    if not can_forget(store):
        return
    mine, other = Followed(trial), Followed(trial, trial.other_id)
    mine.write("once")
    other.write("once")
    boat, there = mine.prompt("a boat"), other.prompt("a boat")

    def run(number: int) -> None:
        if not can_forget(store):
            return
        if number % 2:
            store.keep(*Finished.of(there, number // 2))
        else:
            store.keep(*Finished.of(boat, number // 2))
            store.forget(mine.message_id)

    trial.at_once(run)
    names = {Finished.of(there, number // 2).picture.id for number in range(1, 8, 2)}
    equal({link.placement.picture.id for link in store.pictures_of(there.id)}, names, "pictures_of")
    store.forget(mine.message_id)
    gone = {*store.forget(other.message_id).pictures}
    equal(gone in ({*names}, set()), True, "whether all bytes were there to be deleted at last")
