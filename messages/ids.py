"""Ids made from what they name, so that the same thing has the same id when it is found again."""

import hashlib


def _digest(kind: str, size: int, *parts: str | bytes) -> str:
    digest = hashlib.blake2b(digest_size=size, person=kind.encode())
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


def prompt_id(message_id: str, text: str, ordinal: int) -> str:
    """Return the id of a prompt found in a message: 20 hexadecimal digits.

    Args:
        message_id: the message.
        text: the prompt's text.
        ordinal: how many prompts with this same text stand before it.
    """
    return _digest("prompt", 10, message_id, text, str(ordinal))


def child_id(parent: str, text: str) -> str:
    """Return the id of a prompt that was refined from another: 20 hexadecimal digits.

    Args:
        parent: the id of the prompt that it was refined from.
        text: the new prompt's text.
    """
    return _digest("child", 10, parent, text)


def task_id(session_id: str, prompt: str, number: int) -> str:
    """Return the id of a task: 20 hexadecimal digits.

    Args:
        session_id: the session that requests the picture.
        prompt: the prompt's id.
        number: how many tasks for this prompt the session has requested before.
    """
    return _digest("task", 10, session_id, prompt, str(number))


def task_seed(task: str) -> int:
    """Return the seed of a task by its id: 0 to 2**32 - 1, the range that all back ends take."""
    return int(task[:8], 16)


def owner_id(owner: str) -> str:
    """Return an owner's name as a registry keeps it: 20 hexadecimal digits, not the name itself."""
    return _digest("owner", 10, owner)


def picture_id(content: bytes) -> str:
    """Return the id of a picture with these bytes: 32 hexadecimal digits, safe as a file name."""
    return _digest("picture", 16, content)
