"""The command: `limner`, or `python -m limner`."""

import sys

COMMAND_NEEDS = frozenset(["typer", "rich", "click", "shellingham"])
"""What only the command imports; the extra `cli` brings it."""


def main() -> None:
    """Run the command, or print what it needs if that is not installed."""
    try:
        from limner.scripts.app import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in COMMAND_NEEDS:
            raise
        sys.exit(
            f"limner: the command needs {error.name.partition('.')[0]}, which is not installed:"
            " pip install 'limner[cli]'"
        )
    run()


if __name__ == "__main__":
    main()
