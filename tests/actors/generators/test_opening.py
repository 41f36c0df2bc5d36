"""What a host may give as its generator."""

import threading

import pytest

from limner.actors.generators import Generator, Instant, Sketch, open_generator
from limner.messages.errors import SettingsInvalid
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task

TASK = Task(id="t", session_id="s", message_id="m", prompt_id="p", prompt="a boat")


def draw(task, cancelled):
    return PictureBytes(data=task.prompt.encode())


class Drawer:
    def generate(self, task, cancelled):
        return draw(task, cancelled)


class Callable:
    def __call__(self, task, cancelled):
        return draw(task, cancelled)


def test_a_name_gives_the_generator_of_that_name():
    assert isinstance(open_generator("sketch"), Sketch)
    assert isinstance(open_generator("instant"), Instant)


def test_an_object_with_generate_is_taken_as_it_is():
    drawer = Drawer()
    assert open_generator(drawer) is drawer


@pytest.mark.parametrize("given", [draw, Callable(), Drawer().generate])
def test_a_plain_callable_is_wrapped(given):
    generator = open_generator(given)
    assert isinstance(generator, Generator)
    assert generator.generate(TASK, threading.Event()).data == b"a boat"


def test_a_wrapped_callable_shows_its_name():
    assert repr(open_generator(draw)) == "Called(draw)"
    assert repr(open_generator(Callable())) == "Called(Callable)"


@pytest.mark.parametrize("given", [None, 7, "", "Sketch", "http://x", object(), [draw], "x" * 500])
def test_anything_else_is_refused_with_what_is_understood(given):
    with pytest.raises(SettingsInvalid, match=r"generator: .*'sketch' or 'instant'") as refused:
        open_generator(given)
    assert len(str(refused.value)) < 300


def test_an_object_whose_generate_cannot_be_called_is_refused():
    class Broken:
        generate = 7

    with pytest.raises(SettingsInvalid, match="makes no pictures"):
        open_generator(Broken())


def test_a_class_is_refused_since_an_object_of_it_was_meant():
    with pytest.raises(SettingsInvalid, match="give an object of it, Drawer"):
        open_generator(Drawer)


def test_a_coroutine_function_is_refused():
    async def generate(task, cancelled):
        return draw(task, cancelled)

    class Asynchronous:
        async def generate(self, task, cancelled):
            return draw(task, cancelled)

    for given in (generate, Asynchronous()):
        with pytest.raises(SettingsInvalid, match="coroutine"):
            open_generator(given)


def test_instant_gives_one_picture_for_all_or_what_it_was_given():
    generator = Instant()
    assert generator.generate(TASK, threading.Event()) is generator.generate(
        TASK, threading.Event()
    )
    given = Instant(b"broken", "image/jpeg").generate(TASK, threading.Event())
    assert (given.data, given.media_type) == (b"broken", "image/jpeg")
