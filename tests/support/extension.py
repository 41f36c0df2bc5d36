"""Images as SillyTavern's auto-illustrator extension writes them, by its `createImageTag`."""

PLACEHOLDER = "data:image/svg+xml;base64,PHN2Zz4="


def escaped(value: str) -> str:
    """Escape a value as the extension's `escapeHtmlAttribute` does."""
    for character, written in (
        ("&", "&amp;"),
        ('"', "&quot;"),
        ("'", "&#39;"),
        ("<", "&lt;"),
        (">", "&gt;"),
    ):
        value = value.replace(character, written)
    return value


def image(
    prompt: str,
    url: str,
    *,
    prompt_id: str = "prompt_1a",
    marker: bool = True,
    failed: bool = False,
) -> str:
    """Return what the extension inserts after a tag."""
    preview = prompt[:50] + ("..." if len(prompt) > 50 else "")
    title = f"AI generated image: {preview}"
    more = ""
    if failed:
        url = f"{PLACEHOLDER}#promptId={prompt_id}"
        title = f"Image generation failed: {preview}\nClick to retry"
        more = f' data-failed-placeholder="true" data-prompt-text="{escaped(prompt)}"'
    comment = f"<!-- auto-illustrator:promptId={prompt_id},imageUrl={escaped(url)} -->\n"
    return (
        f"\n{comment if marker else ''}"
        f'<img src="{escaped(url)}" alt="{escaped(preview)}" title="{escaped(title)}" '
        f'class="auto-illustrator-img" data-prompt-id="{prompt_id}" '
        'style="width: 100%; max-width: 100%; height: auto; border-radius: 8px; '
        f'margin: 8px auto; display: block;"{more} />\n'
    )


def older(prompt: str, url: str) -> str:
    """Return what versions before the class and the comment inserted after a tag."""
    words = escaped(prompt)
    return f'\n<img src="{escaped(url)}" alt="{words}" title="AI generated image: {words}">'


def oldest(number: int, url: str) -> str:
    """Return what versions before that inserted after a tag."""
    label = f"AI generated image #{number}"
    return f'\n<img src="{url}" title="{label}" alt="{label}">'
