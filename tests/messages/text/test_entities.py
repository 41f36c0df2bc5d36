"""A prompt's HTML entities are decoded once, and what is no entity stays."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.text.entities import decoded_once, encoded
from limner.messages.text.scanner import PromptScanner, find_prompts

said = st.text(st.sampled_from("&#xltamp;39<>\"'a -\\"), max_size=12) | st.lists(
    st.sampled_from(["&", "&lt;", "&amp;", "&#60;", "&#x3c;", "lt;", "amp;", "#60;", "<", ";", "a"])
).map("".join)


@given(said, st.sampled_from(["[<>]", "[<>=\"'`]|(?<=-)-", r"[!-%'-/:<-@[-`{-~]"]))
def test_what_is_encoded_is_decoded_to_the_same(text, symbols):
    assert decoded_once(encoded(text, symbols)) == text


@given(said)
def test_what_an_html_writer_encodes_is_decoded_to_the_same(text):
    assert decoded_once(html.escape(text)) == text


@pytest.mark.parametrize(
    "text", ["R&D; AT&T", "?a=1&copy=2", "&copyright;", "&", "&;", "&#;", "&#x;", "&lt", "&#60"]
)
def test_an_ampersand_that_begins_no_entity_stays(text):
    assert decoded_once(text) == text
    assert encoded(text, "[<>]") == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("&#0;", "\ufffd"),
        ("&#xD800;", "\ufffd"),
        ("&#x110000;", "\ufffd"),
        ("&amp;lt;", "&lt;"),
        ("&amp;amp;lt;", "&amp;lt;"),
        ("&LT;&hearts;", "<♥"),
    ],
)
def test_an_entity_is_decoded_as_browsers_do_and_once(text, meant):
    assert decoded_once(text) == meant


@pytest.mark.parametrize(
    "form", ['<!--img-prompt="{}"-->', '<img-prompt="{}">', '<img_prompt="{}">']
)
def test_a_streamed_tag_is_decoded_like_a_whole_one(form):
    text = form.format("a &lt;lora:x:0.8&gt; cat, it&#39;s &quot;big&quot;")
    scanner = PromptScanner()
    streamed = [match for piece in text for match in scanner.feed(piece)] + scanner.close()
    assert [match.text for match in streamed] == ['a <lora:x:0.8> cat, it\'s "big"']
    assert streamed == find_prompts(text)


def test_a_tag_of_nothing_but_decoded_space_is_no_prompt():
    assert find_prompts('<!--img-prompt="&nbsp;&#10;"-->') == []
