"""Which things are drawn, and where: what the prompt names, or what a place has as a rule."""

from collections.abc import Callable

from limner.actors.generators.sketch import built, living
from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.scene import Scene
from limner.actors.generators.sketch.words import Reading


def figures(canvas: Canvas, reading: Reading, scene: Scene) -> None:
    """Draw what the prompt names, the far before the near; each has a stretch of its own."""
    standing = [thing for thing in _STANDING if thing in reading.things]
    if not standing and reading.place in _CUSTOMARY:
        customary = _CUSTOMARY[reading.place]
        standing = [customary[reading.chance(2) % len(customary)]]
    # the headland lies away from the light; elsewhere things begin on a third
    start = 0.82 if scene.light[0] < canvas.wide / 2 else 0.18
    inward = -1 if start > 0.5 else 1
    turn = 0
    for thing in standing[:5]:
        if scene.water and thing in {"boat", "whale"}:
            share = 0.5 + inward * canvas.between(0.04, 0.16)
        else:
            share = start + inward * 0.19 * turn + canvas.between(-0.02, 0.02)
            turn += 1
        _STANDING[thing](canvas, scene, canvas.wide * share)
    for thing, draw in _FLYING.items():
        if thing in reading.things:
            draw(canvas, scene)
    if "bird" not in reading.things and canvas.stream.random() < 0.35:
        living.birds(canvas, scene)


_STANDING: dict[str, Callable[[Canvas, Scene, float], None]] = {
    "stream": built.stream,
    "road": built.road,
    "bridge": built.bridge,
    "castle": built.castle,
    "lighthouse": built.lighthouse,
    "house": built.house,
    "tree": living.tree,
    "cactus": living.cactus,
    "whale": living.whale,
    "boat": built.boat,
    "fire": living.fire,
    "person": living.person,
    "flower": living.flowers,
}
_FLYING: dict[str, Callable[[Canvas, Scene], None]] = {
    "bird": living.birds,
    "balloon": living.balloon,
}
_CUSTOMARY = {
    "sea": ("boat", "lighthouse", "boat", "house"),
    "lake": ("boat", "tree", "person"),
    "hills": ("tree", "house", "road", "castle", "flower"),
    "river": ("stream",),
    "desert": ("cactus", "person", "cactus"),
    "mountain": ("tree", "house", "tree", "person"),
}
"""What stands in a place of which the prompt says nothing more."""
