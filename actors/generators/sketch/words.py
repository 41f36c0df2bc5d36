"""What a prompt's words say about a picture: its mood, its place, and the things in it."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

MOODS = {
    "storm": "storm stormy thunder thunderstorm lightning tempest gale hurricane typhoon squall",
    "night": "night midnight nocturnal moon moonlit moonlight moonless star starry dark darkness "
    "nightfall galaxy comet candle candlelight candlelit lantern",
    "dusk": "dusk sunset evening twilight gloaming",
    "dawn": "dawn sunrise morning daybreak",
    "fire": "fire flame burning blaze bonfire inferno volcano lava ember campfire wildfire",
    "snow": "snow snowy winter ice icy frost frozen blizzard glacier snowfall arctic polar "
    "snowflake cold",
    "fog": "fog foggy mist misty haze hazy smoke cloudy overcast grey gray rain rainy drizzle "
    "downpour",
    "autumn": "autumn fall golden harvest october november amber leaf leaves",
    "spring": "spring blossom bloom garden meadow april flower orchard green",
    "dream": "dream dreamy magic magical enchanted mystic fairy ghost spirit wizard underwater",
    "day": "day noon sun sunny sunlight bright summer blue",
}
"""Moods in the order in which they weigh, each with the words that call for it."""

PLACES = {
    "sea": "sea ocean wave tide coast beach shore harbour harbor bay island ship boat sail "
    "sailboat lighthouse fishing fisherman captain pier gull seagull whale anchor reef cape "
    "port gale dolphin fish",
    "lake": "lake pond lagoon loch reservoir swan heron jetty canoe",
    "river": "river stream brook creek bridge waterfall canal",
    "city": "city town skyline street skyscraper market downtown metropolis rooftop neon subway "
    "square alley avenue cyberpunk cityscape",
    "mountain": "mountain peak alp summit cliff canyon valley gorge ridge volcano dragon glacier "
    "eagle snow-capped",
    "desert": "desert dune sand oasis camel pyramid cactus mesa sahara savanna",
    "forest": "forest wood woods woodland jungle grove pine fir deer wolf fox bear owl mushroom",
    "room": "room kitchen library bedroom attic cellar table desk shelf window bed chair staircase "
    "stair fireplace cafe office parlour parlor hall lamp candle book letter cup kettle mug "
    "piano",
    "hills": "hill field meadow farm village cottage country countryside sheep cow pasture house "
    "castle road path garden orchard windmill barn plain prairie moor horse",
}
"""Places in the order in which they win, each with the words that call for it."""

OUTDOORS = tuple(place for place in PLACES if place != "room")
"""The places that a prompt may get without a word for it."""

THINGS = {
    "lighthouse": "lighthouse beacon",
    "castle": "castle fortress palace citadel tower keep",
    "house": "house cottage cabin home hut village farm farmhouse barn inn",
    "boat": "boat ship sail sailboat schooner yacht canoe dinghy vessel fishing fisherman sailor "
    "captain rowing rowboat",
    "bridge": "bridge viaduct",
    "road": "road path track trail highway lane street way",
    "stream": "river stream brook creek canal",
    "tree": "tree oak pine fir birch willow orchard",
    "fire": "fire bonfire campfire flame blaze",
    "person": "person man woman girl boy child children keeper traveller traveler wanderer figure "
    "he she hero wizard knight king queen princess father mother daughter son old couple "
    "people stranger soldier witch monk pilgrim",
    "bird": "bird gull seagull crow raven swallow eagle goose geese dove heron owl flock dragon",
    "flower": "flower blossom bloom meadow rose tulip poppy poppies garden lavender",
    "cactus": "cactus cacti",
    "lamp": "lamp lantern candle candlelight torch",
    "book": "book letter page library shelf manuscript diary logbook novel",
    "cup": "cup mug tea coffee kettle teapot",
    "cat": "cat kitten",
    "sun": "sun sunny sunrise sunset sunlight daybreak",
    "moon": "moon moonlit moonlight crescent",
    "star": "star starry galaxy constellation night midnight comet",
    "rain": "rain rainy drizzle downpour storm stormy shower thunderstorm",
    "lightning": "lightning thunder thunderstorm",
    "snowfall": "snow snowy snowfall blizzard snowflake winter",
    "cloud": "cloud cloudy overcast storm stormy",
    "mist": "mist misty fog foggy haze hazy smoke steam",
    "whale": "whale dolphin",
    "balloon": "balloon airship",
}
"""Things that can be drawn, each with the words that name it."""

HUES = {
    "red": (196, 52, 46), "crimson": (164, 30, 52), "scarlet": (214, 48, 36),
    "orange": (232, 128, 48), "golden": (226, 172, 62), "gold": (226, 172, 62),
    "yellow": (240, 206, 84), "green": (74, 140, 82), "emerald": (30, 132, 96),
    "teal": (38, 132, 136), "turquoise": (64, 176, 178), "blue": (62, 112, 184),
    "indigo": (62, 60, 140), "violet": (124, 82, 172), "purple": (120, 62, 150),
    "pink": (232, 142, 172), "silver": (182, 190, 200), "white": (236, 236, 230),
    "black": (26, 26, 34), "brown": (120, 84, 56),
}  # fmt: skip
"""Words that tint the whole picture, each with its colour."""

MAX_READ = 4_000
"""Characters of a prompt that are read; all of them count in the fingerprint."""


@dataclass(frozen=True)
class Reading:
    """What was read out of a prompt.

    Args:
        moods: names of moods, those that weigh most first; one at least.
        place: the name of a place.
        things: what to draw, each once, in the order of `THINGS`.
        tint: a colour that a word names, or `None`.
        fingerprint: hexadecimal digits that stand for the whole prompt.
        mood_known: whether a word called for the mood, or the fingerprint chose it.
    """

    moods: tuple[str, ...]
    place: str
    things: tuple[str, ...]
    tint: tuple[int, int, int] | None
    fingerprint: str
    mood_known: bool

    def chance(self, number: int) -> int:
        """Return the `number`-th (0 to 7) of the choices that the words leave open, 0 to 65,535."""
        return int(self.fingerprint[4 * number : 4 * number + 4], 16)


def read(prompt: str) -> Reading:
    """Return the reading of any prompt; its fingerprint chooses what its words leave open."""
    fingerprint = hashlib.blake2b(
        prompt.encode("utf-8", "surrogatepass"), digest_size=16
    ).hexdigest()
    words = words_of(prompt[:MAX_READ])
    moods = tuple(mood for mood, known in _MOODS.items() if words & known)[:2]
    places = [place for place, known in _PLACES.items() if words & known]
    things = tuple(thing for thing, known in _THINGS.items() if words & known)
    tint = next((colour for word, colour in HUES.items() if word in words), None)
    choice = int(fingerprint[:8], 16)
    return Reading(
        moods=moods or (list(MOODS)[choice % len(MOODS)],),
        place=places[0] if places else OUTDOORS[choice // 64 % len(OUTDOORS)],
        things=things,
        tint=tint,
        fingerprint=fingerprint,
        mood_known=bool(moods),
    )


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, in lower case, plurals beside their singulars.

    A pictograph counts as the words of its Unicode name, for example a wave or a castle.
    """
    names = [unicodedata.name(char, "") for char in text if unicodedata.category(char) == "So"]
    words = re.findall(r"[^\W\d_]+", f"{text} {' '.join(names)}".casefold())
    return frozenset(
        form for word in words for form in (word, word.removesuffix("s"), word.removesuffix("es"))
    )


def _table(words: dict[str, str]) -> dict[str, frozenset[str]]:
    return {name: frozenset(line.split()) for name, line in words.items()}


_MOODS, _PLACES, _THINGS = _table(MOODS), _table(PLACES), _table(THINGS)
