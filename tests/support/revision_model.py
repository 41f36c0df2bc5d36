"""What each whole operation makes of a text, in the plainest way: on a list of what stands in it.

A text is taken apart into tags, pictures, failures' marks and what is between. Whoever was wished
for is put in by list operations, and the lists are compared: nothing here shares a line with what
it judges.
"""

import re

PIECE = re.compile(
    r'(?P<tag><!--img-prompt="(?P<prompt>[^"]*)"-->)'
    r'|(?P<picture><img [^>]*data-limner="(?P<placement>[0-9a-f:]*)"[^>]*>)'
    r'|(?P<failure><span [^>]*data-limner-failed="(?P<failed>[0-9a-f:]*)"[^>]*>[^<]*</span>)'
)


def pieces(text):
    """Take a text apart: `("tag", prompt)`, `("picture", id)`, `("failure", id)`, or text."""
    found, at = [], 0
    for one in PIECE.finditer(text):
        if one.start() > at:
            found.append(("text", text[at : one.start()]))
        kind = one.lastgroup and next(k for k in ("tag", "picture", "failure") if one[k])
        name = {"tag": "prompt", "picture": "placement", "failure": "failed"}[kind]
        found.append((kind, one[name]))
        at = one.end()
    if at < len(text):
        found.append(("text", text[at:]))
    return found


def bare(text):
    """Give what is neither a picture nor a failure's mark, as one text."""
    return "".join(
        f'<!--img-prompt="{name}"-->' if kind == "tag" else name
        for kind, name in pieces(text)
        if kind in {"tag", "text"}
    )


def pictures(text):
    return [name for kind, name in pieces(text) if kind == "picture"]


def failures(text):
    return [name for kind, name in pieces(text) if kind == "failure"]


def beside(parts, tag):
    """Give the places right after a tag in which its pictures and failures stand."""
    at = tag + 1
    while at < len(parts) and parts[at][0] in {"picture", "failure"}:
        at += 1
    return at


def regenerated(text, wishes):
    """Give the pieces of a text after the wishes of one session.

    What is put behind one piece stands in this order: what goes first, what replaces a picture,
    what is appended to one, what is appended to all, failures of a picture, failures of a tag;
    and of one kind in the order of the wishes.

    Args:
        text: what the store held.
        wishes: pairs of what was wished for, `(place, target, tag)`, and the kind and id of what
            came of it: a picture, a failure that leaves a mark, or nothing. `tag` is the number of
            the tag.
    """
    before = pieces(text)
    tags = [index for index, (kind, _) in enumerate(before) if kind == "tag"]
    there = {name for kind, name in before if kind == "picture"}
    brought = {name for _, (_, name) in wishes}  # these do not leave by each other
    gone, behind = set(), {}
    for order, ((place, target, tag), (kind, name)) in enumerate(wishes):
        if name is None:
            continue
        known = kind == "picture" and name in there
        there.add(name)
        at = tags[tag] if tag is not None else None
        run = [] if at is None else range(at + 1, beside(before, at))
        shown = [index for index in run if before[index][0] == "picture"]
        standing = ("failure" if place == "retry" else "picture", target)
        own = before.index(standing) if standing in before else None
        if kind == "failure":
            rank = 4 if own is not None else 5
            where = own if own is not None else at if not run else run[-1]
            leaving = [own] if place == "retry" else []
        elif own is not None and place in {"replace-image", "append-after-image", "retry"}:
            rank, where = (2 if place == "append-after-image" else 1), own
            leaving = [] if place == "append-after-image" else [own]
        elif place == "append-after-prompt":
            rank, where, leaving = 0, at, []
        else:
            rank, where = 3, shown[-1] if shown else at
            leaving = shown if place == "replace" else []
        if where is not None:
            gone.update(leaving)
            if not known:
                behind.setdefault(where, []).append((rank, order, (kind, name)))
    out = []
    for index, piece in enumerate(before):
        if index not in gone or piece[1] in brought:
            out.append(piece)
        out += [new for *_, new in sorted(behind.get(index, []))]
    return out
