"""Text that UTF-8 can carry."""


def wellformed(text: str) -> str:
    """Give a text that UTF-8 can carry.

    Half characters (surrogates), as JSON escapes and broken decoders leave them, are joined where
    two make a whole, and replaced by U+FFFD where one stands alone. All else stays as it is.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
