"""What is said of an exception, and to whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.errors import GenerationFailed, describe, masked, reason_of

SECRET = "s3cr3tv4lu3abcdefghij"


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("http://ada:{}@host/x failed", "http://***@host/x failed"),
        ("url: /sdapi?x=1&api_key={} (Caused by", "url: /sdapi?x=1&api_key=*** (Caused by"),
        ("https://host/?X-Amz-Signature={}&y=2", "https://host/?X-Amz-Signature=***&y=2"),
        ("https://host/?access_token={}#part", "https://host/?access_token=***#part"),
        (
            "https://api.telegram.org/bot12:{}/sendPhoto",
            "https://api.telegram.org/bot12:***/sendPhoto",
        ),
        ("https://discord.com/api/webhooks/99/{}", "https://discord.com/api/webhooks/99/***"),
        ("https://hooks.slack.com/services/T0/B0/{}", "https://hooks.slack.com/services/T0/B0/***"),
        ("401 for Authorization: Bearer {}", "401 for Authorization: Bearer ***"),
        ("postgresql://limner:{}@db/texts", "postgresql://***@db/texts"),
    ],
)
def test_keys_and_passwords_are_masked(text, instead):
    assert masked(text.format(SECRET)) == instead
    assert SECRET not in describe(OSError(text.format(SECRET)))


@pytest.mark.parametrize(
    "text", ["ada@example.com", "http://host:8188/view?filename=a.png", "monkey=3", "a key = b"]
)
def test_what_is_no_secret_is_left(text):
    assert masked(text) == text


@given(st.text(alphabet="ab?&=:/@.key token-", max_size=300))
def test_masking_once_is_enough(text):
    assert masked(masked(text)) == masked(text)


def test_a_long_text_is_masked_before_it_is_cut():
    error = OSError(f"{'x' * 480} http://host/?token={SECRET * 10}")
    assert SECRET[:4] not in describe(error)


def test_an_exceptions_own_text_is_for_the_log_alone():
    reason = reason_of(ConnectionError("http://10.0.0.7/?k=v is down"))
    assert reason.public == "the generator failed (ConnectionError); the event log says more"
    assert reason.full == "ConnectionError: http://10.0.0.7/?k=v is down"


def test_the_words_of_a_failed_generation_are_for_everybody():
    reason = reason_of(GenerationFailed("the model\nis  loading"))
    assert reason == ("the model is loading", "the model is loading")


def test_what_was_called_begins_the_general_sentence():
    assert reason_of(KeyError("x"), what="the call").public.startswith("the call failed (KeyError)")
