"""Common tags join a prompt, none twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.text.style_tags import styled


@pytest.mark.parametrize(
    ("prompt", "common", "prefix", "suffix"),
    [
        ("a cat", "best, sharp", "best, sharp, a cat", "a cat, best, sharp"),
        ("a cat, Best", "best ,sharp", "sharp, a cat, Best", "a cat, Best, sharp"),
        ("a  cat", "A CAT", "a  cat", "a  cat"),
        ("a cat", "", "a cat", "a cat"),
        ("a cat", " , ,", "a cat", "a cat"),
        ("a cat", "best, Best,  best ", "best, a cat", "a cat, best"),
        ("", "best", "best", "best"),
    ],
)
def test_common_tags_stand_before_or_after_unless_they_are_there(prompt, common, prefix, suffix):
    assert styled(prompt, common, "prefix") == prefix
    assert styled(prompt, common, "suffix") == suffix


words = st.lists(st.text("aAb ", max_size=3), max_size=4).map(",".join)


@given(words, words, st.sampled_from(["prefix", "suffix"]))
def test_styling_twice_is_styling_once_and_the_prompt_stays_whole(prompt, common, position):
    once = styled(prompt, common, position)
    assert styled(once, common, position) == once
    assert prompt.strip() == "" or prompt in once
