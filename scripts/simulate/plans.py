"""The plan of a host for one message, drawn before it starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from math import fsum

from limner.scripts.simulate.draws import Draw, exponential, whole
from limner.scripts.simulate.parameters import Parameters

VERSE = (
    "the lamp was lit and far below it a grey sea turned over in its sleep while the keeper "
    "climbed “slowly” <b>up</b> the stair & counted every step aloud until 4 < 5 {gulls} said "
    "nothing\n\n *at all* ![no](picture) to-day für 灯台 🌊"
)
WORDS = tuple(VERSE.split(" "))
SUBJECTS = (
    "a lighthouse",
    "the keeper",
    "a gull",
    "the sea & its 'moods'",
    "a stair",
    "灯台, night 🌊",
)
TAGS = ('<!--img-prompt="{}"-->', '<img-prompt="{}">', '<img_prompt="{}">')
DAY = 86_400


class Way(Enum):
    """How a host passes its text to the studio."""

    FEED = 0
    REPLACE = 1
    WHOLE = 2


class End(Enum):
    """How a message ends."""

    FINISH = 0
    FINISH_WITH_TEXT = 1
    INTERRUPT = 2
    CANCEL = 3
    FINISH_THEN_INTERRUPT = 4
    FINISH_THEN_CANCEL = 5
    STALL = 6


class Meddling(Enum):
    """How the host changes the text in the store meanwhile."""

    NONE = 0
    SAVE_WHILE_STREAMING = 1
    EDIT = 2
    DELETE = 3


@dataclass(frozen=True)
class Plan:
    """What a host does with one message.

    Args:
        message_id: which message.
        text: what the model writes.
        chunks: how many units of UTF-16 come at a time, as a browser counts: some end with half
            of a character.
        pace: seconds from one chunk to the next; 0 if all chunks are there from the beginning.
        way: how the text is passed to the studio.
        end: how the message ends.
        stop_at: the number of chunks after which it is interrupted or cancelled.
        repeats: the chunks that are sent twice.
        meddling: how the text in the store is changed.
        later: seconds from the end until what is planned for the time after it.
        owner: of the message.
        priority: of the message.
        alone: whether no other host has the message at the same time.
    """

    message_id: str
    text: str
    chunks: tuple[int, ...]
    pace: float
    way: Way
    end: End
    stop_at: int
    repeats: frozenset[int]
    meddling: Meddling
    later: float
    owner: str | None
    priority: str
    alone: bool

    @property
    def is_plain(self) -> bool:
        """Whether all of the text arrives once and in order, and nobody changes it."""
        return (
            self.end in {End.FINISH, End.FINISH_WITH_TEXT}
            and (self.end is End.FINISH_WITH_TEXT or not self.repeats)
            and self.meddling is Meddling.NONE
            and self.alone
        )

    def pieces(self) -> Iterator[str]:
        """Yield the text in its chunks, in order, some twice."""
        at, units = 0, self.text.encode("utf-16-le")
        for index, length in enumerate(self.chunks):
            piece = units[2 * at : 2 * (at + length)].decode("utf-16-le", "surrogatepass")
            at += length
            yield piece
            if index in self.repeats:
                yield piece


def plan_message(
    number: int, recent: tuple[tuple[str, str], ...], params: Parameters, draw: Draw
) -> Plan:
    """Draw the plan for a message.

    Args:
        number: which one it is.
        recent: earlier messages and their texts. It may be one of them again, in half of the cases
            with a new text.
        params: of the run.
        draw: returns random numbers.
    """
    faults, texts = params.faults, params.scenario.texts
    again = bool(recent) and draw() < params.anew
    message_id, text = f"msg-{number}", ""
    if again:
        message_id, text = recent[whole(draw, 0, len(recent) - 1)]
    if not text or draw() < 0.5:
        text = draw_text(texts.prompts.draw_whole(draw), texts.words.draw_whole(draw), draw)
    chunks = tuple(_chunks(len(text.encode("utf-16-le")) // 2, params.chunk, draw))
    repeat = faults["host_repeats"]
    return Plan(
        message_id=message_id,
        text=text,
        chunks=chunks,
        pace=0 if draw() < 0.2 else params.chunk / 2 / params.rate,
        way=Way.WHOLE if draw() < 0.1 else Way.REPLACE if draw() < 0.15 else Way.FEED,
        end=_end(faults, draw),
        stop_at=whole(draw, 0, len(chunks)),
        repeats=frozenset(i for i in range(len(chunks)) if repeat and draw() < repeat),
        meddling=_meddling(faults, draw),
        later=draw() * 2 * params.generation.median,
        owner=f"owner-{whole(draw, 1, params.owners)}" if draw() < 0.9 else None,
        priority="background" if draw() < params.background else "active",
        alone=True,
    )


def draw_text(prompts: int, words: int, draw: Draw) -> str:
    """Draw a text with a number of words, and prompts at random places among them."""
    parts = [WORDS[int(draw() * len(WORDS))] for _ in range(words)]
    for _ in range(prompts):
        subject = SUBJECTS[int(draw() * len(SUBJECTS))]
        if draw() < 0.8:  # else the same prompt may stand in the text several times
            subject += f", {whole(draw, 1, 9_999)}"
        tag = TAGS[int(draw() * len(TAGS))].format(subject)
        parts.insert(whole(draw, 0, len(parts)), tag)
    return " ".join(parts)


def seconds_to_next(now: float, params: Parameters, draw: Draw) -> tuple[float, int]:
    """Return the seconds to the next arrival, and how many messages arrive then."""
    arrivals = params.scenario.arrivals
    if arrivals.kind == "burst":
        number = arrivals.burst.draw_whole(draw)
        return exponential(draw, params.every * number), number
    if arrivals.kind == "day":
        mean = fsum(arrivals.hours) / 24
        busy = arrivals.hours[int(now % DAY // 3_600)] / mean
        # no further than an hour ahead, when another intensity may hold
        return min(exponential(draw, params.every / busy), 3_600), 1
    return exponential(draw, params.every), 1


def _chunks(length: int, longest: int, draw: Draw) -> Iterator[int]:
    while length > 0:
        chunk = min(whole(draw, 1, longest), length)
        length -= chunk
        yield chunk


def _end(faults: dict[str, float], draw: Draw) -> End:
    if draw() < faults["host_stalls"]:
        return End.STALL
    late = draw() < 0.5
    if draw() < faults["host_cancels"]:
        return End.FINISH_THEN_CANCEL if late else End.CANCEL
    if draw() < faults["host_interrupts"]:
        return End.FINISH_THEN_INTERRUPT if late else End.INTERRUPT
    return End.FINISH_WITH_TEXT if draw() < 0.2 else End.FINISH


def _meddling(faults: dict[str, float], draw: Draw) -> Meddling:
    if draw() < faults["host_deletes"]:
        return Meddling.DELETE
    if draw() < faults["host_edits"]:
        return Meddling.SAVE_WHILE_STREAMING if draw() < 0.4 else Meddling.EDIT
    return Meddling.NONE
