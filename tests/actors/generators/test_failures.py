"""A generator that fails: what is logged of it, and what is not tried again."""

import functools
import logging

import pytest

from limner.actors import Settings, Studio
from limner.actors.generators import Instant, open_generator
from limner.actors.generators.failures import FailureLog
from limner.messages.errors import GenerationFailed, SettingsInvalid

TEXT = "".join(f'<!--img-prompt="{number}"-->' for number in range(3))


def illustrate(generator, tmp_path, **settings):
    """Return the result of three prompts, and the events of failed calls."""
    settings = Settings(store="memory:", pictures=tmp_path, backoff=0, slots=1, **settings)
    failed = []
    with Studio.open(settings, generator=generator) as studio:
        studio.subscribe(failed.append, events=["generation_failed"])
        result = studio.illustrate("m", TEXT).get(timeout=60)
    return result, failed


def logged(caplog):
    return [record for record in caplog.records if record.name == "limner.generators"]


def inner(task):
    return {}[task.prompt]


def test_a_traceback_is_logged_once_a_kind(tmp_path, caplog):
    def draw(task, cancelled):
        if task.prompt == "2":
            raise OSError("no\nhost")
        return inner(task)

    result, failed = illustrate(draw, tmp_path)
    assert len(result.failures) == 3
    one, two = logged(caplog)
    assert one.levelno == two.levelno == logging.ERROR
    assert "KeyError: '0'" in one.getMessage()
    assert "return {}[task.prompt]" in caplog.text  # a traceback, down to the line
    assert "Traceback (most recent call last)" in two.getMessage()
    assert "draw" in one.getMessage()
    assert failed[0]["reason"] == "KeyError: '0'"
    assert failed[-1]["reason"] == "OSError: no host"
    assert len(failed) == 9


def test_what_a_generator_says_on_purpose_has_no_traceback(tmp_path, caplog):
    def draw(task, cancelled):
        raise GenerationFailed("refused", retryable=False)

    illustrate(draw, tmp_path)
    assert not logged(caplog)


def test_what_has_caused_it_has_one(tmp_path, caplog):
    def draw(task, cancelled):
        try:
            inner(task)
        except KeyError as error:
            raise GenerationFailed("refused", retryable=False) from error

    illustrate(draw, tmp_path)
    (record,) = logged(caplog)
    assert "return {}[task.prompt]" in caplog.text
    assert "refused" in record.getMessage()


def test_keys_and_passwords_in_a_traceback_are_masked(caplog):
    cause = OSError("no route to https://eve:hunter2@host/draw?api_key=abcdef123456")
    error = RuntimeError("gave up https://host/?token=0123456789abcdef")
    error.__cause__ = cause
    FailureLog().log(error, "https://eve:hunter2@host/")
    (record,) = logged(caplog)
    for secret in ("hunter2", "abcdef123456", "0123456789abcdef"):
        assert secret not in caplog.text
        assert secret not in str(vars(record))
    assert "direct cause of the following exception" in caplog.text
    assert "no route to https://" in caplog.text


def test_of_a_huge_traceback_the_end_is_logged(caplog):
    FailureLog().log(RuntimeError("x" * 1_000_000 + "\ud800 end"), "draw")
    assert len(caplog.text) < 50_000
    assert "\ufffd end" in caplog.text


def test_kinds_are_bounded(caplog):
    log = FailureLog()
    for number in range(200):
        log.log(type(f"Error{number}", (Exception,), {})(), Instant())
    assert len(logged(caplog)) == 100


class Odd(Exception):
    def __str__(self):
        raise ValueError


class OddName:
    def __repr__(self):
        raise ValueError

    def generate(self, task, cancelled):
        raise Odd


def test_a_failure_that_cannot_say_what_it_was_is_logged(tmp_path, caplog):
    result, failed = illustrate(OddName(), tmp_path, attempts=1)
    assert len(result.failures) == len(failed) == 3
    (record,) = logged(caplog)
    assert "OddName" in record.getMessage()


def takes_one(prompt):
    """Take one argument."""


def needs_more(task, cancelled, *, model):
    """Take a keyword too."""


class Method:
    def generate(self, prompt):
        """Take one argument."""


def decorated(call):
    @functools.wraps(call)
    def wrapper(*args, **kwargs):
        return call(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("given", "signature"),
    [
        (takes_one, r"takes_one has the signature \(prompt\)"),
        (needs_more, r"needs_more has the signature \(task, cancelled, \*, model\)"),
        (Method(), r"Method.generate has the signature \(prompt\)"),
        (decorated(takes_one), r"takes_one has the signature \(prompt\)"),
        (functools.partial(needs_more, 1, model=2), "partial has the signature"),
        (lambda: None, r"<lambda> has the signature \(\)"),
    ],
)
def test_a_wrong_signature_is_refused_at_opening(given, signature):
    with pytest.raises(SettingsInvalid, match=signature) as caught:
        open_generator(given)
    assert "cannot be called with (task, cancelled)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        lambda *arguments: None,
        lambda task, cancelled, model="x": None,
        functools.partial(needs_more, model=2),
        decorated(Instant().generate),
        print,
    ],
)
def test_a_signature_that_takes_two_arguments_is_fine(given):
    open_generator(given)


@pytest.mark.parametrize("given", [vars, getattr, next])
def test_a_wrong_call_that_cannot_be_seen_is_not_tried_again(given, tmp_path):
    result, failed = illustrate(given, tmp_path)
    assert len(failed) == len(result.failures) == 3
    for event in failed:
        assert "cannot be called with (task, cancelled): TypeError" in event["reason"]
        assert "its signature is" in event["reason"]
        assert event["final"]


def test_a_type_error_from_within_is_tried_again(tmp_path):
    def draw(task, cancelled):
        return takes_one(task, cancelled)

    _, failed = illustrate(draw, tmp_path, attempts=2)
    assert len(failed) == 6
    assert "takes_one() takes 1 positional argument" in failed[0]["reason"]
