"""The obvious model of regenerating, on a list of the pieces of a text.

A text is split into tags, pictures, failures' marks and the text between them. Pictures are
inserted and removed by list operations, and the lists are compared. The model shares no code with
what it tests.
"""

import re

PIECE = re.compile(
    r'(?P<tag><!--img-prompt="(?P<prompt>[^"]*)"-->)'
    r'|(?P<picture><img [^>]*data-limner="(?P<placement>[0-9a-f:]*)"[^>]*>)'
    r'|(?P<failure><span [^>]*data-limner-failed="(?P<failed>[0-9a-f:]*)"[^>]*>[^<]*</span>)'
)


def pieces(text):
    """Split a text: `("tag", prompt)`, `("picture", id)`, `("failure", id)`, `("text", text)`."""
    found, at = [], 0
    for match in PIECE.finditer(text):
        if match.start() > at:
            found.append(("text", text[at : match.start()]))
        kind = match.lastgroup and next(k for k in ("tag", "picture", "failure") if match[k])
        name = {"tag": "prompt", "picture": "placement", "failure": "failed"}[kind]
        found.append((kind, match[name]))
        at = match.end()
    if at < len(text):
        found.append(("text", text[at:]))
    return found


def bare(text):
    """Return the text without pictures and marks of failures."""
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
    """Return the index after the pictures and failures that stand directly after a tag."""
    at = tag + 1
    while at < len(parts) and parts[at][0] in {"picture", "failure"}:
        at += 1
    return at


def replaces(event, replacing):
    """Return what a wanted picture is to replace: the id of a picture, `all` of a tag, or nothing.

    Args:
        event: that it is wanted.
        replacing: what the pictures of earlier tasks were to replace, by the ids of the tasks.
    """
    match event["place"]:
        case "replace-image":
            return event["target"]
        case "replace":
            return "all"
        case "retry":  # as the first try was to
            return replacing.get(event["target"].partition(":")[2])
    return None


def regenerated(text, requests):
    """Return the pieces of a text after the requests of one session.

    What is inserted after one piece has this order: pictures that go first, replacements of a
    picture, pictures appended to one, pictures appended to all, failures of a picture, failures of
    a tag; within a kind, the order of the requests.

    Args:
        text: the stored text.
        requests: pairs of a request, `(place, target, tag, replaces)`, and the kind and id of its
            outcome: a picture, a failure that leaves a mark, or nothing. `tag` is the number of the
            tag.
    """
    before = pieces(text)
    tags = [index for index, (kind, _) in enumerate(before) if kind == "tag"]
    there = {name for kind, name in before if kind == "picture"}
    outcomes = {name for _, (_, name) in requests}  # no outcome removes another's
    removed, inserted = set(), {}
    for order, ((place, target, tag, old), (kind, name)) in enumerate(requests):
        if name is None:
            continue
        known = kind == "picture" and name in there
        there.add(name)
        at = tags[tag] if tag is not None else None
        marks = [] if at is None else range(at + 1, beside(before, at))
        shown = [index for index in marks if before[index][0] == "picture"]
        standing = ("failure" if place == "retry" else "picture", target)
        own = before.index(standing) if standing in before else None
        if kind == "failure":
            rank = 4 if own is not None else 5
            where = own if own is not None else at if not marks else marks[-1]
            replaced = [own] if place == "retry" else []
        elif own is not None and place in {"replace-image", "append-after-image", "retry"}:
            rank, where = (2 if place == "append-after-image" else 1), own
            replaced = [] if place == "append-after-image" else [own]
            if place == "retry":  # it stands where the first picture stood that it replaces
                olds = [before.index(("picture", old))] if ("picture", old) in before else []
                olds = shown if old == "all" else olds
                where = olds[0] if olds else own
                replaced = [own, *olds]
        elif place == "append-after-prompt":
            rank, where, replaced = 0, at, []
        else:
            rank, where = 3, shown[-1] if shown else at
            replaced = shown if place == "replace" else []
        if where is not None:
            removed.update(replaced)
            if kind == "picture":  # with it go the failures of its tag
                removed.update(index for index in marks if before[index][0] == "failure")
            if not known:
                inserted.setdefault(where, []).append((rank, order, (kind, name)))
    out = []
    for index, piece in enumerate(before):
        if index not in removed or piece[1] in outcomes:
            out.append(piece)
        out += [new for *_, new in sorted(inserted.get(index, []))]
    return out
