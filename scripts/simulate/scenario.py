"""A scenario: ranges from which each seed draws the values of its run."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from limner.messages.base import Value
from limner.messages.configuration import MAX_BYTES, parse_toml
from limner.messages.errors import SettingsInvalid
from limner.messages.validation import describe
from limner.scripts.simulate.controls import Controls
from limner.scripts.simulate.limits import Calls, Lane
from limner.scripts.simulate.ranges import (
    Busyness,
    Number,
    OneOrMore,
    Pause,
    Range,
    Rate,
    Seconds,
    Within,
    fixed,
    ranging,
)


class Arrivals(Value):
    """When messages come."""

    kind: Literal["poisson", "burst", "day"] = "poisson"
    """At random; or several at once, then none for a while; or more in the busy hours of a day."""

    every: Seconds = ranging(0.2, 5)
    """Seconds between two messages, on average."""

    burst: OneOrMore = ranging(2, 30)
    """Messages that come at once, for the kind `burst`."""

    hours: tuple[Busyness, ...] = Field(
        default=(2, 1, 1, 1, 1, 2, 4, 8, 12, 10, 7, 7, 9, 8, 6, 6, 7, 9, 12, 14, 15, 12, 7, 4),
        min_length=24,
        max_length=24,
    )
    """How busy each hour of a day is beside the others, for the kind `day`."""


class Texts(Value):
    """What is streamed."""

    prompts: Number = ranging(0, 5)
    """Prompts of a message."""

    words: Number = ranging(20, 200)
    """Words of a message, beside its prompts."""

    chunk: OneOrMore = ranging(1, 120)
    """Characters of a chunk."""

    rate: Annotated[Range, AfterValidator(Within(1, 1_000_000))] = ranging(100, 5_000)
    """Characters a second."""

    anew: Rate = ranging(0, 0.2)
    """The share of messages that are an earlier message again."""


class People(Value):
    """The owners of messages."""

    owners: OneOrMore = ranging(1, 20)
    """The number of owners."""

    background: Rate = ranging(0, 0.5)
    """The share of messages that nobody waits for."""


class Latency(Value):
    """How long calls take."""

    kind: Literal["constant", "log-normal"] = "log-normal"
    """Always the median; or with a long tail, as the latencies of people and machines have."""

    median: Seconds = ranging(0.5, 8)
    """Seconds that half of the calls take, at most."""

    spread: Annotated[Range, AfterValidator(Within(0, 4))] = ranging(0.1, 1)
    """The standard deviation of the logarithm of the seconds."""

    tail: Rate = fixed(0)
    """The share of calls that take far longer."""

    tail_times: Annotated[Range, AfterValidator(Within(1, 10_000))] = ranging(5, 50)
    """How many times longer those take."""


class Revisions(Value):
    """How people revise messages once they are written."""

    share: Rate = fixed(0)
    """The share of messages that are revised."""

    times: Number = ranging(1, 8)
    """Revisions of one message."""

    pause: Pause = ranging(0, 10)
    """Seconds between two revisions."""

    settle_after: Pause = fixed(2)
    """Seconds without a new request after which the requested pictures are written."""

    reconciled: Rate = fixed(0)
    """The share of seeds in which a text is reconciled automatically after each write."""

    reconcile_after: Seconds = ranging(1, 30)
    """Seconds between the write and that."""

    placeholders: Rate = fixed(0)
    """The share of seeds in which a failure leaves a mark."""


class Patience(Value):
    """The studio's timeouts, in seconds, and its attempts."""

    deadline: Seconds = fixed(300)
    write_at_deadline: Rate = fixed(0)
    """The share of seeds in which what is finished at the deadline is written."""
    idle_timeout: Seconds | None = None
    generation_timeout: Seconds = fixed(120)
    store_timeout: Seconds = fixed(60)
    grace: Seconds = fixed(5)
    attempts: Annotated[Range, AfterValidator(Within(1, 100))] = fixed(3)
    backoff: Pause = ranging(0.1, 2)


class Faults(Value):
    """What goes wrong, each with its rate from 0 to 1."""

    generation_fails: Rate = fixed(0)
    """Of calls: the back end is busy; a retry may succeed."""
    generation_refused: Rate = fixed(0)
    """Of calls: a retry does not help."""
    generation_hangs: Rate = fixed(0)
    """Of calls: it never returns."""
    generation_rubbish: Rate = fixed(0)
    """Of calls: what comes back is no picture."""
    generation_busy: Rate = fixed(0)
    """Of calls: the back end asks for a pause of up to a minute (`retry_after`)."""
    answer_busy: Rate = fixed(0)
    """Of host calls: the back end answers with status 429, 503 or 529, returned or raised."""
    answer_limits: Rate = fixed(0)
    """Of host calls: the back end answers with headers that tell what is left of its limits."""
    generation_down: Rate = fixed(0)
    """Of calls: the back end fails, and does so for up to 20 more calls in a row."""
    call_inattentive: Rate = fixed(0)
    """Of calls: it does not return early when it is cancelled."""
    actor_fails: Rate = fixed(0)
    """Of turns of a session's actors: it raises in the middle of a message."""
    part_fails: Rate = fixed(0)
    """Of turns of root, limiter, recorder and caller: it raises, and the studio closes."""
    timer_late: Rate = fixed(0)
    """Of timers: it fires up to ten seconds late."""
    store_conflicts: Rate = fixed(0)
    """Of writes: somebody else has written just before."""
    store_locked: Rate = fixed(0)
    """Of calls: it takes a hundred times as long."""
    store_fails: Rate = fixed(0)
    """Of calls: it raises; of the writes half before they are done, and half after."""
    host_edits: Rate = fixed(0)
    """Of messages: the text is changed before it is written."""
    host_deletes: Rate = fixed(0)
    """Of messages: it is deleted before it is written."""
    host_cancels: Rate = fixed(0)
    """Of messages: it is cancelled while it streams, or after."""
    host_interrupts: Rate = fixed(0)
    """Of messages: the model is stopped."""
    host_stalls: Rate = fixed(0)
    """Of messages: no end ever comes, until the studio closes."""
    host_repeats: Rate = fixed(0)
    """Of chunks: it is sent twice."""
    host_opens_twice: Rate = fixed(0)
    """Of messages: it is opened from two threads."""
    keep_fails: Rate = fixed(0)
    """Of pictures that are to be kept: the store raises."""
    keep_hangs: Rate = fixed(0)
    """Of pictures that are to be kept: the store does not come back."""
    picture_cancelled: Rate = fixed(0)
    """Of a host's steps: one picture of its message is cancelled."""


class Scenario(Value):
    """All values of a simulation."""

    about: str = ""
    """A description, in a sentence."""

    messages: int = Field(default=200, ge=1, le=10_000_000)
    """The number of messages."""

    left_out: float = Field(default=0, ge=0, le=1)
    """The share of seeds in which a fault is left out, so that faults also occur without others."""

    arrivals: Arrivals = Arrivals()
    texts: Texts = Texts()
    people: People = People()
    generation: Latency = Latency()
    store: Latency = Latency(median=Range(low=0.001, high=0.02), spread=Range(low=0.1, high=1))
    max_per_message: OneOrMore | None = None
    """Pictures of one message in generation at one time; no limit if not given."""

    lane: Lane = Lane()
    """The lane `image`."""

    inner: Lane | None = None
    """The back end's own lane, behind `image`; none if not given."""

    grouped: Rate = fixed(0)
    """The share of seeds in which the back end has a group of lanes that open and close."""

    calls: Calls = Calls()
    revisions: Revisions = Revisions()
    controls: Controls = Controls()
    patience: Patience = Patience()
    faults: Faults = Faults()

    all_written: bool = False
    """Whether it is a problem if a text is not written, whatever else goes wrong."""

    quick: bool = False
    """Whether it is a problem if a slot expires, if a session takes its whole deadline, or if a
    settled task has a request or a slot for a second, since nothing takes long."""


FOLDER = resources.files("limner.scripts.simulate") / "scenarios"


def names() -> list[str]:
    """Return the names of the scenarios that come with Limner."""
    return sorted(file.name.removesuffix(".toml") for file in FOLDER.iterdir())


def load_scenario(given: str | None = None, overrides: Sequence[str] = ()) -> Scenario:
    """Load a scenario by its name, or from a TOML file.

    Args:
        given: one of `names()`, or a file's path; all defaults if `None`.
        overrides: values that override those of the file, each as `faults.host_edits=0.1`, the
            value in TOML.

    Raises:
        SettingsInvalid: if there is no such scenario or it is not valid, in one line.
    """
    values: dict[str, Any] = {} if given is None else _read(given)
    for override in overrides:
        _put(values, override)
    try:
        return Scenario(**values)
    except ValidationError as error:
        where = f"scenario {given!r}: " if given else ""
        raise SettingsInvalid(f"{where}{describe(error)}") from None


def _read(given: str) -> dict[str, Any]:
    try:
        if given in names():
            return parse_toml((FOLDER / f"{given}.toml").read_bytes())
        path = Path(given)
        if not path.is_file():
            raise SettingsInvalid(
                f"there is no scenario {given!r}: it is neither a file nor one of "
                + ", ".join(names())
            )
        if path.stat().st_size > MAX_BYTES:
            raise SettingsInvalid(f"scenario {given!r} has more than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise SettingsInvalid(f"scenario {given!r} cannot be read: {reason}") from None
    try:
        return parse_toml(data)
    except SettingsInvalid as error:
        raise SettingsInvalid(f"scenario {given!r} cannot be read: {error}") from None


def _put(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    *path, last = name.strip().split(".")
    if not equals:
        raise SettingsInvalid(
            f"--set {override!r:.200}: write NAME=VALUE, such as faults.host_edits=0.1"
        )
    given: dict[str, Any]
    try:
        given = parse_toml(f"value = {text}".encode("utf-8", "surrogatepass"))
    except SettingsInvalid:
        given = {"value": text.strip()}
    if len(given) > 1:
        raise SettingsInvalid(f"--set {override!r:.200}: give one value")
    value = given["value"]
    for part in path:
        within = values.setdefault(part, {})
        if not isinstance(within, dict):
            raise SettingsInvalid(f"--set {override!r}: {part!r} holds no further values")
        values = within
    values[last] = value


def rates(faults: Faults) -> Mapping[str, Range]:
    """Return the range of each fault."""
    return {name: getattr(faults, name) for name in Faults.model_fields}
