"""Ids made from what they name, so that the same thing found again is the same one."""

import hashlib


def _digest(kind: str, size: int, *parts: str | bytes) -> str:
    digest = hashlib.blake2b(digest_size=size, person=kind.encode())
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


def prompt_id(message_id: str, text: str, ordinal: int) -> str:
    """Name the `ordinal`-th prompt of `text` in a message: 20 hexadecimal digits."""
    return _digest("prompt", 10, message_id, text, str(ordinal))


def child_id(parent: str, text: str) -> str:
    """Name the prompt of `text` that was refined from the one with id `parent`, as a prompt."""
    return _digest("child", 10, parent, text)


def task_id(session_id: str, prompt: str, wish: int) -> str:
    """Name the `wish`-th wish of a session for a picture of the prompt with id `prompt`."""
    return _digest("task", 10, session_id, prompt, str(wish))


def task_seed(task: str) -> int:
    """Give the seed of a task by its id, in 0 to 2**32 - 1, the range that back ends share."""
    return int(task[:8], 16)


def picture_id(content: bytes) -> str:
    """Name a picture by its bytes: 32 hexadecimal digits, safe as a file name."""
    return _digest("picture", 16, content)
