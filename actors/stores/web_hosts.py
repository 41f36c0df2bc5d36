"""A warning to web hosts whose texts would refer to pictures by `file:`."""

import logging
import sys
from collections.abc import Container

logger = logging.getLogger("limner")

FRAMEWORKS = ("flask", "django", "fastapi", "starlette", "uvicorn", "gunicorn", "waitress")
"""Packages that a web host imports."""


def web_framework(modules: Container[str] | None = None) -> str | None:
    """Return the name of a web framework that is imported, or `None`.

    Args:
        modules: names of what is imported; `sys.modules` if `None`.
    """
    known = sys.modules if modules is None else modules
    return next((name for name in FRAMEWORKS if name in known), None)


def warn_of_file_urls(prefix: str) -> None:
    """Log a warning if texts refer to pictures by `file:` and a web framework is imported.

    A browser shows no such picture on a page that comes from a server.

    Args:
        prefix: what the URLs of pictures begin with.
    """
    framework = web_framework() if prefix[:5].lower() == "file:" else None
    if framework is not None:
        logger.warning(
            "texts will refer to pictures by %s..., which no browser shows on a page that %s "
            'serves; set pictures_url, for example "/pictures/", and serve that directory there',
            prefix,
            framework,
        )
