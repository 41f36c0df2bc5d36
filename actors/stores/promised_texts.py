"""What every store promises of texts and finished pictures; `conformance` runs it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

from limner.actors.stores.trial import Finished, Trial, equal, found, in_html, promise
from limner.messages.errors import VersionConflict
from limner.messages.writing import Links

THREADS = 8
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
        raise AssertionError("each text should have a version of its own")


@promise()
def a_write_over_another_version_changes_nothing(trial: Trial) -> None:
    """A write that expects what is not there raises VersionConflict, and settles nothing."""
    one = trial.keep(Finished.of(found(trial.message_id)))
    first = trial.write("once")
    second = trial.write("by another")
    links = Links(placed=(one.placement,), tasks=(one.settled,))
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


@promise()
def of_writers_that_race_one_wins_each_version(trial: Trial) -> None:
    """Of writers that expect the same version exactly one writes; the others get a conflict."""
    trial.write("begun")
    barrier = Barrier(THREADS, timeout=60)

    def race(writer: int) -> Iterator[int]:
        for turn in range(4):
            barrier.wait()
            held = trial.store.load(trial.message_id)
            barrier.wait()
            assert held is not None, "load() should give the text"
            text = f"{writer} in turn {turn}"
            try:
                trial.store.write(trial.message_id, text, expected_version=held[1])
            except VersionConflict:
                continue
            yield turn

    with ThreadPoolExecutor(THREADS) as pool:
        won = [
            turn for turns in pool.map(lambda one: [*race(one)], range(THREADS)) for turn in turns
        ]
    equal(sorted(won), [0, 1, 2, 3], "the turns in which a writer has won")


@promise()
def a_finished_picture_is_kept_for_its_prompt(trial: Trial) -> None:
    """What is kept is known at once, with a URL, for the message that it was made for."""
    trial.write("once")
    one = Finished.of(found(trial.message_id))
    picture = trial.store.keep(*one)
    equal(picture, one.picture.but(url=picture.url), "what keep() gives")
    if not picture.url:
        raise AssertionError("keep() should give the picture with the URL that a text refers to")
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
def a_picture_that_was_placed_is_no_longer_kept(trial: Trial) -> None:
    """A write settles what it places, and no more; what it takes out can be kept again."""
    trial.write("once")
    one, two = (trial.keep(Finished.of(found(trial.message_id, name))) for name in ("one", "two"))
    trial.write(in_html(one.placement), Links(placed=(one.placement,), tasks=(one.settled,)))
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {two.task.prompt_id: two.picture}, "kept() after a write that placed another")
    trial.write("told anew")
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {two.task.prompt_id: two.picture}, "kept() after a write without links")
    trial.write("without", Links(removed=(one.placement.id,)))
    again = trial.keep(Finished.of(found(trial.message_id, "one"), session="another"))
    kept = trial.store.kept(trial.message_id)
    equal(kept.get(one.task.prompt_id), again.picture, "kept() after it was made once more")


@promise()
def threads_that_keep_at_once_lose_nothing(trial: Trial) -> None:
    """Pictures that finish at one time are all kept."""
    trial.write("once")
    made = [Finished.of(found(trial.message_id, str(number % 20))) for number in range(80)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(trial.keep, made))
    names = {one.task.prompt_id for one in made}
    equal(set(trial.store.kept(trial.message_id)), names, "the prompts of kept()")


@promise()
def what_a_failure_quotes_never_holds_up_the_write(trial: Trial) -> None:
    """A task's reason may quote anything; the text is written all the same."""
    one = Finished.of(found(trial.message_id))
    failed = one.settled.but(reason="nul \0, half \ud800" + "x" * 9_999, owner="\ud800")
    version = trial.write("once", Links(tasks=(failed,)))
    equal(trial.store.load(trial.message_id), ("once", version), "load()")


@promise("durable")
def what_was_written_and_kept_outlives_the_store(trial: Trial) -> None:
    """Opened again, a store has the text, its version, and the pictures that are in none."""
    one, two = (trial.keep(Finished.of(found(trial.message_id, name))) for name in ("one", "two"))
    text = in_html(one.placement)
    version = trial.write(text, Links(placed=(one.placement,)))
    trial.reopen()
    equal(trial.store.load(trial.message_id), (text, version), "load() of the store opened again")
    kept = trial.store.kept(trial.message_id)
    equal(dict(kept), {two.task.prompt_id: two.picture}, "kept() of the store opened again")
    trial.store.write(trial.message_id, "twice", expected_version=version)
