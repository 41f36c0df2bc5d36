"""An id that the store can have no message of is refused at the call, and opens no session."""

from inspect import isfunction, signature

import pytest

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages import Prompt
from limner.messages.errors import UnknownMessage

CHAT = (
    '{"user_name":"You","character_name":"Ada","chat_metadata":{}}\n'
    '{"name":"Ada","is_user":false,"mes":"x"}\n'
)
OTHERS = {
    "change": str.upper,
    "callback": print,
    "placement": f"{'0' * 20}:{'1' * 32}",
    "priority": "active",
    "text": "text",
}
"""What the calls need beside the id."""


def needed_by(call):
    """Return the names of what a call of a studio needs, the id among them if it takes one."""
    parameters = list(signature(getattr(Studio, call)).parameters.values())[1:]
    return [
        each.name for each in parameters if each.default is each.empty or each.name == "message_id"
    ]


def make(call, studio, name):
    prompt = Prompt(id="0" * 16, message_id=name, ordinal=1, text="a lighthouse")
    given = OTHERS | {"message_id": name, "prompt": prompt}
    return getattr(studio, call)(**{each: given[each] for each in needed_by(call)})


CALLS = [
    name
    for name in dir(Studio)
    if isfunction(getattr(Studio, name)) and name[0] != "_" and "message_id" in needed_by(name)
]


class Numbers(MemoryStore):
    """A host's store, whose messages have numbers."""

    def check_message_id(self, message_id):
        if not message_id.isdecimal():
            raise UnknownMessage(f"{message_id!r} is no number")


def store_of(kind, folder):
    if kind == "numbers":
        return Numbers()
    (folder / "chat.jsonl").write_text(CHAT)
    return f"files:{folder}" if kind == "files" else f"chat:{folder / 'chat.jsonl'}"


BAD = {
    "files": ["../up.md", "a/b", ".", "..", ".limner.sqlite", "back\\slash", "é" * 150],
    "chat": ["1", "two", "-3", "2.0", "+2", "99999999999999999999999"],
    "numbers": ["x"],
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_id_is_refused_at_the_call(kind, call, tmp_path):
    store = store_of(kind, tmp_path)
    given = {"store": store} if isinstance(store, str) else {}
    settings = Settings(pictures=tmp_path / "p", events=tmp_path / "events", **given)
    with Studio.open(settings, store=None if given else store, generator=Instant()) as studio:
        for name in BAD[kind]:
            with pytest.raises(UnknownMessage):
                make(call, studio, name)
    assert "session_opened" not in (tmp_path / "events").read_text()
