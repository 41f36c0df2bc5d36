"""What every store promises of texts and finished pictures; `conformance` runs it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from limner.actors.stores.conformance.fixtures import (
    ROUNDS,
    THREADS,
    Finished,
    Trial,
    alike,
    equal,
    found,
    in_html,
    promise,
)
from limner.messages.errors import VersionConflict
from limner.messages.registry import RegistryUpdate, Version

DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "another one": lambda path: path.write_bytes(b"x" * path.stat().st_size),
}
KEEPING_ROUNDS = ROUNDS // 2  # as each has a file and a record of eight pictures to write
NASTY = (
    "",
    "a\r\nb\rc\nd\n\r",
    "\ufeffwith a byte order mark\r\n",
    "'; DROP TABLE limner_messages; --",
    "\u2028\x85\x0b\x1f\ufffe\U0010ffff e\u0301",
    '%s :text {0} $1 \\ \\u0041 "quoted" <b>&amp;',
    "é" * 1_000_000,
)
_CANNOT_BE_HELD = ("nul \0 here", "half \ud800 here")


@promise()
def a_text_that_was_written_is_loaded_with_its_version(trial: Trial) -> None:
    """What was written is what is loaded, under the version that the write gave."""
    first = trial.write("once")
    equal(trial.store.load(trial.message_id), ("once", first), "load() after a write")
    second = trial.write("once upon")
    equal(trial.store.load(trial.message_id), ("once upon", second), "load() after another")
    if first == second:
        raise AssertionError(f"the versions of two texts: expected two, found {first!r} for both")


@promise()
def a_write_over_another_version_changes_nothing(trial: Trial) -> None:
    """A write that expects what is not there raises VersionConflict, and settles nothing."""
    one = trial.keep(Finished.of(found(trial.message_id)))
    first = trial.write("once")
    second = trial.write("by another")
    links = RegistryUpdate(placed=(one.placement,), tasks=(one.settled,))
    for stale in (first, None, 7_777, "of another store", 2**70):
        trial.refused("mine", stale, links)
    equal(trial.store.load(trial.message_id), ("by another", second), "load() after conflicts")
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {one.task.prompt_id: one.picture}, "kept() after conflicts")


@promise("creates")
def a_message_that_is_not_there_is_none_until_it_is_created(trial: Trial) -> None:
    """A message begins with the write that expects no version, and with no other."""
    equal(trial.store.load(trial.message_id), None, "load() of what is not there")
    equal(dict(trial.store.kept(trial.message_id)), {}, "kept() of what is not there")
    trial.refused("mine", 1)
    equal(trial.store.load(trial.message_id), None, "load() after a conflict")
    version = trial.store.write(trial.message_id, "once", expected_version=None)
    equal(trial.store.load(trial.message_id), ("once", version), "load() after the creation")
    equal(trial.store.load(trial.other_id), None, "load() of the other message")


@promise()
def a_text_comes_back_character_by_character(trial: Trial) -> None:
    """Any text is held as it is: line ends, odd characters, a million of them."""
    for text in NASTY:
        version = trial.write(text)
        equal(trial.store.load(trial.message_id), (text, version), f"load() of {text[:30]!r}")


@promise()
def a_text_that_cannot_be_held_is_refused(trial: Trial) -> None:
    """A text with a NUL, or half a surrogate pair, is held as it is, or refused with an error."""
    for text in _CANNOT_BE_HELD:
        before = trial.write("once"), "once"
        with suppress(Exception):  # whichever it is, the text must be as it was
            before = trial.write(text), text
        equal(trial.store.load(trial.message_id), before[::-1], f"load() after {text!r}")


@promise("creates")
def a_message_has_no_text_until_one_is_written(trial: Trial) -> None:
    """A picture that is kept makes no text, not even an empty one, and holds up no creation."""
    one = trial.keep(Finished.of(found(trial.message_id)))
    equal(trial.store.load(trial.message_id), None, "load() after a keep")
    kept = {one.task.prompt_id: one.picture}
    equal(dict(trial.store.kept(trial.message_id)), kept, "kept() before there is a text")
    empty = trial.store.write(trial.message_id, "", expected_version=None)
    equal(trial.store.load(trial.message_id), ("", empty), "load() after an empty text")
    trial.refused("mine", None)
    equal(dict(trial.store.kept(trial.message_id)), kept, "kept() after the creation")


@promise()
def an_id_that_looks_like_another_leads_to_no_text(trial: Trial) -> None:
    """Ids that differ by case, by spaces or by Unicode normalisation are of different messages."""
    trial.write("once")
    for name in alike(trial.message_id):
        held = None
        with suppress(Exception):  # an id that can be none may be refused
            held = trial.store.load(name)
        equal(held, None, f"load() of {name!r}, where {trial.message_id!r} is written")


@promise("creates")
def messages_whose_ids_look_alike_are_not_mixed_up(trial: Trial) -> None:
    """Messages whose ids differ by case, by spaces or by Unicode normalisation are not one."""
    written: dict[str, tuple[str, Version]] = {}
    for name in (*alike(trial.message_id), trial.message_id):
        text = f"of {name!r}"
        try:
            written[name] = text, trial.store.write(name, text, expected_version=None)
        except VersionConflict as error:
            raise AssertionError(
                f"a creation of {name!r}: expected a message of its own, found one of {[*written]}"
            ) from error
        except Exception:  # noqa: BLE001, S112  # an id that can be none may be refused
            continue
    kept = {name: trial.keep(Finished.of(found(name))) for name in written}
    for name, held in written.items():
        equal(trial.store.load(name), held, f"load() of {name!r}")
        of_name = {kept[name].task.prompt_id: kept[name].picture}
        equal(dict(trial.store.kept(name)), of_name, f"kept() of {name!r}")


def _one_writes(trial: Trial, message_id: str, expected: Version | None, turn: int = 0) -> Version:
    """Write over one version in several threads at once, and return the version that won."""

    def write(one: int) -> tuple[str, Version] | None:
        text = f"{one} in turn {turn}"
        with suppress(VersionConflict):
            return text, trial.store.write(message_id, text, expected_version=expected)
        return None

    won = [text for text in trial.at_once(write) if text is not None]
    equal(len(won), 1, f"writers of {THREADS} at once that have won")
    equal(trial.store.load(message_id), won[0], "load() after the writer that has won")
    return won[0][1]


@promise()
def of_writers_that_race_one_wins_each_version(trial: Trial) -> None:
    """Of writers that expect the same version exactly one writes; the others get a conflict."""
    version = trial.write("begun")
    for turn in range(ROUNDS):
        version = _one_writes(trial, trial.message_id, version, turn)


@promise("creates")
def of_writers_that_create_a_message_at_once_one_wins(trial: Trial) -> None:
    """Of writers that expect no version exactly one creates; the others get a conflict."""
    for _ in range(ROUNDS):
        _one_writes(trial, trial.another(), None)


@promise()
def a_finished_picture_is_kept_for_its_prompt(trial: Trial) -> None:
    """What is kept is known at once, with a URL, for the message that it was made for."""
    trial.write("once")
    one = Finished.of(found(trial.message_id))
    picture = trial.store.keep(*one)
    equal(picture, one.picture.but(url=picture.url), "what keep() gives")
    if not picture.url:
        raise AssertionError("the URL that keep() gives for a text to refer to: found none")
    equal(trial.store.keep(*one), picture, "what keep() gives the second time")
    trial.keep(Finished.of(found(trial.other_id)))
    equal(dict(trial.store.kept(trial.message_id)), {one.task.prompt_id: picture}, "kept()")


@promise()
def the_newest_picture_of_each_prompt_is_the_one_that_is_kept(trial: Trial) -> None:
    """One picture a prompt; one that is kept again is the newest; prompts may share one."""
    trial.write("once")
    prompt, other = found(trial.message_id), found(trial.message_id, "a boat")
    older = trial.keep(Finished.of(prompt, 1)).picture
    newer = trial.keep(Finished.of(prompt, 2)).picture
    shared = trial.keep(Finished.of(other, 1)).picture
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {prompt.id: newer, other.id: shared}, "kept()")
    trial.keep(Finished.of(prompt, 1, session="another"))
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {prompt.id: older, other.id: shared}, "kept() after the older came again")


@promise()
def a_picture_whose_file_is_damaged_is_no_longer_kept(trial: Trial) -> None:
    """What is kept has its bytes: a file that is gone, empty or another one is noticed.

    A store whose `picture_path` names no file has none that can be damaged.
    """
    path_of = getattr(trial.store, "picture_path", lambda _: None)
    for number, damage in enumerate(DAMAGES, start=1):
        one = trial.keep(Finished.of(found(trial.message_id, damage), number))
        path = path_of(one.picture)
        if path is None:
            return
        equal(dict(trial.store.kept(trial.message_id)), {one.task.prompt_id: one.picture}, "kept()")
        DAMAGES[damage](path)
        left = dict(trial.store.kept(trial.message_id))
        equal(left, {}, f"kept() of a picture whose file is {damage}")


@promise()
def a_picture_that_was_placed_is_no_longer_kept(trial: Trial) -> None:
    """A write settles what it places, and no more; what it takes out can be kept again."""
    trial.write("once")
    one, two = (trial.keep(Finished.of(found(trial.message_id, name))) for name in ("one", "two"))
    trial.write(
        in_html(one.placement), RegistryUpdate(placed=(one.placement,), tasks=(one.settled,))
    )
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {two.task.prompt_id: two.picture}, "kept() after a write that placed another")
    trial.write("told anew")
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {two.task.prompt_id: two.picture}, "kept() after a write without links")
    trial.write("without", RegistryUpdate(removed=(one.placement.id,)))
    again = trial.keep(Finished.of(found(trial.message_id, "one"), session="another"))
    kept = trial.store.kept(trial.message_id)
    equal(kept.get(one.task.prompt_id), again.picture, "kept() after it was made once more")


def _all_are_kept(trial: Trial, message_id: str, turn: int = 0, text: str | None = None) -> None:
    """Keep pictures in several threads at once; one writes instead if there is a text."""
    held = None if text is None else trial.store.load(message_id)

    def come(one: int) -> Finished | None:
        if held and text and not one:
            trial.store.write(message_id, text, expected_version=held[1])
            return None
        prompt = found(message_id, str(one))
        picture = (one + turn) % THREADS  # another one in each turn, which is the newest then
        return trial.keep(Finished.of(prompt, picture, session=f"turn {turn}"))

    made = [finished for finished in trial.at_once(come) if finished is not None]
    kept = trial.store.kept(message_id)
    lost = [finished for finished in made if kept.get(finished.task.prompt_id) != finished.picture]
    equal(len(lost), 0, f"pictures that kept() has not, of {len(made)} that were kept at once")
    if text:
        equal((trial.store.load(message_id) or ())[:1], (text,), "load() of what was written then")


@promise()
def threads_that_keep_at_once_lose_nothing(trial: Trial) -> None:
    """Pictures that finish at one time are all kept."""
    for turn in range(KEEPING_ROUNDS):
        _all_are_kept(trial, trial.message_id, turn)


@promise("creates")
def first_pictures_that_are_kept_at_once_are_all_there(trial: Trial) -> None:
    """Pictures that finish at one time are all kept, where nothing was known of their message."""
    for _ in range(KEEPING_ROUNDS):
        _all_are_kept(trial, trial.another())


@promise()
def a_text_that_is_written_meanwhile_loses_no_picture(trial: Trial) -> None:
    """Pictures that finish while a text is written are all kept, and the write is no conflict."""
    trial.write("begun")
    for turn in range(KEEPING_ROUNDS):
        _all_are_kept(trial, trial.message_id, turn, text=f"turn {turn}")


@promise()
def what_a_failure_quotes_never_holds_up_the_write(trial: Trial) -> None:
    """A task's reason may quote anything; the text is written all the same."""
    one = Finished.of(found(trial.message_id))
    failed = one.settled.but(reason="nul \0, half \ud800" + "x" * 9_999, owner="\ud800")
    version = trial.write("once", RegistryUpdate(tasks=(failed,)))
    equal(trial.store.load(trial.message_id), ("once", version), "load()")


@promise("durable")
def what_was_written_and_kept_outlives_the_store(trial: Trial) -> None:
    """Opened again, a store has the text, its version, and the pictures that are in none."""
    one, two = (trial.keep(Finished.of(found(trial.message_id, name))) for name in ("one", "two"))
    text = in_html(one.placement)
    version = trial.write(text, RegistryUpdate(placed=(one.placement,)))
    trial.reopen()
    equal(trial.store.load(trial.message_id), (text, version), "load() of the store opened again")
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {two.task.prompt_id: two.picture}, "kept() of the store opened again")
    trial.store.write(trial.message_id, "twice", expected_version=version)
