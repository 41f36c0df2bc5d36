"""What a scripted history is played with: drawn numbers, a generator, stores, and its record."""

import hashlib
import random
import re
import zlib
from collections import Counter

from limner.actors.stores import MemoryStore
from limner.messages import Illustrated, PictureBytes
from limner.messages.errors import GenerationFailed

SLOW = 1_007
"""Seconds that a slow picture takes. Not a multiple of `GRID`, so that it never ends on it."""
GRID = 100
"""Seconds between two moments at which a script acts: all else is at rest by then."""
TAG = re.compile(r'<!--img-prompt="[^"]*"-->|<img-prompt="[^"]*">|<img_prompt="[^"]*">')
PICTURE = re.compile(
    r'<img [^>]*data-limner="[^"]*"[^>]*>|!\[[^\]]*\]\([^)]*\)<!--[^>]*?[0-9a-f]{32}[^>]*?-->'
)
PLACEMENT = re.compile(r"\b[0-9a-f]{20}:[0-9a-f]{32}\b")
FORMS = ('<!--img-prompt="{}"-->', '<img-prompt="{}">', '<img_prompt="{}">')
NOUNS = ("lamp", "roof", "gull", "stair", "harbour", "boat")
MANNERS = ("old", "red", "fails", "brittle", "flaky", "slow", "slow", "slow")
"""`fails` never gives a picture. `brittle` fails once for good, `flaky` once and may be retried."""


class Draw:
    """Random decisions, made of `random()` alone, which gives the same on every Python."""

    def __init__(self, number):
        self._random = random.Random(number)

    def chance(self, probability):
        return self._random.random() < probability

    def below(self, limit):
        return int(self._random.random() * limit)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, things):
        return things[self.below(len(things))]

    def shuffled(self, things):
        return sorted(things, key=lambda _: self._random.random())

    def prompt(self, *, slow):
        manner = self.pick(MANNERS if slow else MANNERS[:5])
        return f"{manner} {self.pick(NOUNS)}" if self.chance(0.45) else self.pick(NOUNS)

    def tag(self, prompt):
        return self.pick(FORMS).format(prompt)

    def text(self, prompts):
        """Return a text of sentences and tags; the same prompt may stand in it twice."""
        parts = [f"It began ({self.below(1_000)}). "]
        for _ in range(self.pick((0, 1, 2, 3, 4, 5))):
            parts.append(self.tag(self.pick(prompts)))
            parts.append(self.pick((" So it went on. ", "\n\n", "", " And 𝄞 then < & > \u2028")))
        return "".join(parts)

    def chunks(self, text):
        """Return a text in drawn pieces."""
        pieces, start = [], 0
        most = self.pick((1, 3, 20, 200))
        while start < len(text):
            end = start + self.between(1, most)
            pieces.append(text[start:end])
            start = end
        return pieces


class Painter:
    """A generator whose pictures are functions of the prompt's id and of how many it has had."""

    def __init__(self):
        self.calls = Counter()
        self.pictures = Counter()

    def generate(self, task, cancelled):
        words = task.prompt
        seconds = SLOW if "slow" in words else zlib.crc32(words.encode()) % 2_000 / 1_000
        if cancelled.wait(seconds):
            raise GenerationFailed("it was cancelled", retryable=False)
        self.calls[task.prompt_id] += 1
        first = self.calls[task.prompt_id] == 1
        if "fails" in words or ("brittle" in words and first):
            raise GenerationFailed(f"nobody can draw {words!r}", retryable=False)
        if "flaky" in words and first:
            raise GenerationFailed(f"not now: {words!r}")
        self.pictures[task.prompt_id] += 1
        number = self.pictures[task.prompt_id]
        colours = hashlib.sha256(f"{task.prompt_id} {number}".encode()).digest()[:6]
        return PictureBytes(data=gif(colours), media_type="image/gif")


def gif(colours):
    """Return a picture of one pixel, the same on every machine; `colours` are its six bytes."""
    return (
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00"
        + colours
        + b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
    )


class SlowStore(MemoryStore):
    """A store whose calls take time, since it is not exactly a `MemoryStore`."""


def change(draw, prompts, number):
    """Return a drawn change of a text as a name and a function without side effects."""
    name = draw.pick(
        ("append", "append", "tag", "drop tag", "turn", "strip", "double", "raise", "number")
    )
    at, tag = draw.below(100), draw.tag(draw.pick(prompts))

    def nth(pattern, text):
        found = list(pattern.finditer(text))
        return found[at % len(found)].span() if found else (0, 0)

    def changed(text):
        match name:
            case "append":
                return f"{text} (edited {number})"
            case "tag":
                return f"{text} {tag}"
            case "drop tag":
                start, end = nth(TAG, text)
                return text[:start] + text[end:]
            case "strip":
                start, end = nth(PICTURE, text)
                return text[:start] + text[end:]
            case "turn":
                start, _ = nth(TAG, text)
                return text[start:] + text[:start]
            case "double":
                start, end = nth(TAG, text)
                return text[start:end] + text
            case "number":
                return number
        raise ValueError(f"edit {number} gives up")

    return name, changed


def told(outcome):
    """Return what a future gave, or an error, as JSON; what hangs on turns is sorted."""
    if isinstance(outcome, BaseException):
        return {"error": type(outcome).__name__, "message": str(outcome)}
    if not isinstance(outcome, Illustrated):
        return outcome
    return {
        "text": outcome.text,
        "version": outcome.version,
        "pictures": [one.id for one in outcome.pictures],
        "unplaced": sorted([one.placement.id, one.reason] for one in outcome.unplaced),
        "failures": sorted(
            [one.prompt_id, one.prompt, one.state, one.reason] for one in outcome.failures
        ),
        "over_limit": list(outcome.over_limit),
        "removed": list(outcome.removed),
        "written": outcome.written,
        "reason": outcome.reason,
    }


def registry_of(store, message_id):
    """Return what a store knows of a message as JSON, without the order in which it came."""
    registry = store.registry(message_id)
    return {
        "prompts": sorted(
            [one.id, one.text, one.ordinal, one.parent_id or "", one.source, one.feedback or ""]
            for one in registry.prompts
        ),
        "links": sorted([one.placement.id, one.state] for one in registry.links),
        "claims": sorted([one.prompt_id, one.text, one.ordinal] for one in registry.claims),
        "kept": sorted([name, one.id] for name, one in registry.kept().items()),
    }


def sessions_of(events):
    """Return each message's sessions in their order, with what became of their tasks."""
    sessions, tasks, messages = {}, {}, {}
    for event in events:
        session = sessions.get(event.get("session_id"))
        match event["event"]:
            case "session_opened":
                session = sessions[event["session_id"]] = {
                    **{name: event[name] for name in ("kind", "owner", "priority")},
                    "tasks": [],
                }
                messages.setdefault(event["message_id"], []).append(session)
            case "prompt_detected" | "picture_wanted":
                tasks[event["task_id"]] = [event["prompt_id"], event["prompt"], event.get("place")]
            case "task_settled":
                task = tasks[event["task_id"]]
                kept = event.get("kept", False)
                session["tasks"].append([*task, event["state"], event["reason"], kept])
            case "session_sealed":
                session["sealed"] = [event["reason"], len(event["tasks"])]
            case "text_written":
                session["written"] = [event["version"], len(event["placed"])]
            case "write_skipped":
                session["skipped"] = event["reason"]
            case "session_ended":
                session["ended"] = [event["outcome"], event["reason"]]
    for session in sessions.values():
        session["tasks"].sort(key=repr)
    return messages


def edits_of(events):
    """Return each message's edits, in the order in which they ended."""
    edits = {}
    for event in events:
        if event["event"] in {"text_edited", "edit_unneeded", "edit_failed", "edit_cleared"}:
            edits.setdefault(event["message_id"], []).append(
                [event["event"], event["kind"], event.get("version"), event.get("reason")]
            )
    return edits
