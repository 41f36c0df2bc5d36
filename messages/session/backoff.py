"""When to try again."""


def backoff(attempt: int, *, base: float, limit: float, jitter: float) -> float:
    """Return the seconds to wait after the `attempt`-th call has failed.

    Doubles with each attempt up to `limit`; then half of it is kept and half is drawn, so that
    calls which failed together do not come back together ("equal jitter").

    Args:
        attempt: calls that have failed, from 1.
        base: seconds after the first one.
        limit: seconds at most.
        jitter: drawn, in 0 to 1.
    """
    full = min(limit, base * 2.0 ** min(attempt - 1, 32))
    return full / 2 + full / 2 * jitter
