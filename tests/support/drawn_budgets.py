"""Budgets of lanes and costs of calls, drawn; a budget of one name has one span of time."""

from hypothesis import strategies as st

from limner.messages.limiter.budget import Budget

SPANS = {"requests": 1, "tokens": 3}


@st.composite
def drawn_budgets(draw, least=1):
    """Draw no budgets as often as some."""
    if draw(st.booleans()):
        return {}
    names = draw(st.sets(st.sampled_from(sorted(SPANS)), min_size=1))
    return {
        name: Budget(
            draw(st.integers(least, 8)),
            per=SPANS[name],
            window=draw(st.sampled_from(["refilling", "fixed", "sliding"])),
            each=draw(st.sampled_from(["lane", "lane", "owner"])),
            default=draw(st.sampled_from([None, None, 0, 2])),
        )
        for name in sorted(names)
    }


drawn_costs = st.dictionaries(
    st.sampled_from(sorted(SPANS)), st.sampled_from([0, 1, 1, 2, 3, 5]), max_size=2
)
