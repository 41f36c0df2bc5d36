"""Images of SillyTavern's auto-illustrator extension are marks: found and taken out whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_texts import placement
from support.extension import PLACEHOLDER, image, older, oldest

from limner.messages.ids import prompt_id
from limner.messages.picture_requests import RequestOutcome
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate
from limner.messages.text.clean import clean
from limner.messages.text.extension_images import extension_images
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.marks import find_marks, mark, marked
from limner.messages.text.notation import Notation
from limner.messages.text.placed_pictures import placed_pictures
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.reconcile import reconcile
from limner.messages.text.regenerate import request_all, request_one
from limner.messages.text.revise import revise

TAG = '<!--img-prompt="a cat"-->'
CAT = Prompt(id=prompt_id("m", "a cat", 0), message_id="m", text="a cat", ordinal=0)
URL = "/user/images/Ann O'Hara/ann_2026@1h.png"
FORMS = {
    "full": image("a cat", URL),
    "no comment": image("a cat", URL, marker=False),
    "older": older("a cat", URL),
    "oldest": oldest(1, URL),
    "other spaces": f" {image('a cat', URL)[1:].replace('-->', '--> ')}",
}

plain = st.text(st.characters(exclude_characters="<>&{}", exclude_categories=["Cs", "Cc"]))
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
urls = st.one_of(
    st.just(URL),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), min_size=1).map("/u/".__add__),
    st.just(f"data:image/png;base64,{'A' * 5_000}"),
)


def editor(text: str) -> MarkEditor:
    return MarkEditor(PromptTags(text, message_id="m"))


@given(plain, plain, words, urls, st.booleans(), st.booleans(), st.integers(1, 3))
def test_what_the_extension_puts_in_is_taken_out_to_the_last_character(
    before, after, said, url, marker, failed, number
):
    one = image(said, url, marker=marker, failed=failed)
    text = f"{before}{TAG}{one}{after}"
    assert clean(text, ("prompts",)) == f"{before}{TAG}{after}"
    assert clean(text, ("prompts", "pictures", "failures")) == text
    (found,) = find_marks(text)
    assert (text[found.start : found.end], found.foreign) == (one, True)
    assert found.kind == ("failure" if failed else "picture")
    several = find_marks(f"{TAG}{one * number}")
    assert len({mark.id for mark in several}) == number


@pytest.mark.parametrize("form", FORMS)
def test_a_tag_that_shows_an_image_of_the_extension_is_not_drawn_again(form):
    text = f"One {TAG}{FORMS[form]} two."
    assert request_all(editor(text), "append", only_missing=True) == ()
    assert len(request_all(editor(text), "append")) == 1
    assert clean(text, ("prompts",)).split() == f"One {TAG} two.".split()
    (picture,) = placed_pictures("m", text, Registry(), Notation())
    assert (picture.placement, picture.prompt) == (None, "a cat")
    assert text[picture.start : picture.end].strip() == FORMS[form].strip()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["replace-image", "append-after-image", "append-after-prompt"])
def test_an_image_of_the_extension_can_be_regenerated(form, mode):
    text = f"One {TAG}{FORMS[form]} two."
    before = editor(text)
    (name,) = before.present
    request = request_one(before, name, mode)
    assert (request.prompt.id, request.prompt.text) == (CAT.id, "a cat")
    new = placement(CAT, url="new.png")
    done = revise(
        text, [RequestOutcome(request=request, placement=new)], Registry(), message_id="m"
    )
    marks = find_marks(done.text)
    assert done.placed == (new,)
    if mode == "replace-image":
        space = " " * (form == "other spaces")
        assert done.text == f"One {TAG}{space}{mark(new, 'html')} two."
        assert done.removed == (name,)
    else:
        foreign = [found.foreign for found in marks]
        assert foreign == ([True, False] if mode == "append-after-image" else [False, True])
        assert clean(done.text, ("prompts",)).split() == f"One {TAG} two.".split()


def test_all_images_of_a_tag_are_replaced_at_once():
    text = f"One {TAG}{FORMS['oldest']}{FORMS['older']}{FORMS['full']} two."
    (request,) = request_all(editor(text), "replace")
    new = placement(CAT, url="new.png")
    done = revise(
        text, [RequestOutcome(request=request, placement=new)], Registry(), message_id="m"
    )
    assert done.text == f"One {TAG}{mark(new, 'html')} two."


def test_an_image_that_failed_is_missing_and_its_place_is_taken():
    text = f"One {TAG}{image('a cat', '', failed=True)} two."
    (request,) = request_all(editor(text), "append", only_missing=True)
    assert request.place == "retry"
    new = placement(CAT, url="new.png")
    done = revise(
        text, [RequestOutcome(request=request, placement=new)], Registry(), message_id="m"
    )
    assert done.text == f"One {TAG}{mark(new, 'html')} two."


def test_a_picture_is_put_back_or_placed_beside_no_image_of_the_extension():
    new = placement(CAT, url="new.png")
    text = f"One {TAG}{FORMS['full']} two."
    for registry in (
        Registry(prompts=(CAT,)).settle("m", RegistryUpdate(placed=(new,)), text),
        Registry(prompts=(CAT,)).but(links=(Link(placement=new, state="kept"),)),
    ):
        assert reconcile(text, registry, message_id="m").text == text
    lone = f"One {TAG}{FORMS['full'].partition('<img')[0]} two."
    kept = Registry(prompts=(CAT,)).but(links=(Link(placement=new, state="kept"),))
    assert mark(new, "html") in reconcile(lone, kept, message_id="m").text


def test_a_comment_whose_image_is_gone_is_taken_out_and_counts_as_nothing():
    text = f"One {TAG}{FORMS['full'].partition('<img')[0]} two."
    assert [found.kind for found in find_marks(text)] == ["leftover"]
    assert len(request_all(editor(text), "append", only_missing=True)) == 1
    assert clean(text, ("prompts",)) == f"One {TAG} two."


OWN = mark(placement(CAT), "html")


@pytest.mark.parametrize(
    "text",
    [
        '<img src="a.png" alt="AI generated image">',
        '<img src="a.png" title="a cat" alt="a cat">',  # of the first version, or of anybody
        '<img title="AI generated image #1">',
        '<img src="a.png" class="auto-illustrator-img-2">',
        '<img src="a.png" class="auto-illustrator-img" alt="never closed>',
        f'<img src="a.png" class="auto-illustrator-img" alt="{"<" * 300}">',
        f'<img src="a.png" class="auto-illustrator-img" {"a=1 " * 40}>',
        '<img-x src="a.png" class="auto-illustrator-img">',
        "<!-- auto-illustrator:promptId=,imageUrl=a -->",
        "<!-- auto-illustrator:promptId=a,imageUrl=<b> -->",
        "<!-- auto-illustrator: promptId=a -->",
        OWN.replace("<img", '<img class="auto-illustrator-img"'),
    ],
)
def test_what_the_extension_did_not_write_is_no_image_of_it(text):
    assert not list(extension_images(text))
    assert not [found for found in find_marks(text) if found.foreign]


def test_an_image_of_somebody_else_after_a_comment_is_left_alone():
    comment = FORMS["full"].partition("<img")[0]
    text = f'{TAG}{comment}<img src="mine.png">{TAG}{comment}{OWN}'
    assert clean(text) == '<img src="mine.png">'
    same = f'{TAG}{comment}<img src="{URL}">'
    assert clean(same) == ""


def test_a_value_that_another_program_has_decoded_is_read():
    text = TAG + image("a cat <lora:x:0.8>", URL).replace("&lt;", "<").replace("&gt;", ">")
    assert [found.kind for found in find_marks(text)] == ["picture"]


def test_our_marks_and_tags_within_an_image_stay_what_they_are():
    text = TAG + image("a cat", URL).replace('alt="a cat"', f"alt='{OWN}'")
    assert [(found.foreign, found.kind) for found in find_marks(text)][-1] == (False, "picture")
    assert marked(text) == {placement(CAT).id}
    braces = Notation(patterns=(r"\{(.*?)\}",))
    inside = f"{{a}}{image('{b}', URL)}"
    tags = PromptTags(inside, message_id="m", notation=braces)
    ends = [(found.start, found.end) for found in [*tags.matches, *tags.marks]]
    assert all(
        one[1] <= other[0] for one, other in zip(sorted(ends), sorted(ends)[1:], strict=False)
    )


def test_the_prompt_and_the_address_of_an_image_name_it():
    one, other = (find_marks(TAG + image("a cat", url))[0].id for url in (URL, "/u/2.png"))
    assert one != other
    assert one.partition(":")[0] == other.partition(":")[0]
    assert find_marks(f"Before. {TAG}{image('changed', URL)} after.")[0].id == one
    assert PLACEHOLDER not in one


@pytest.mark.parametrize(
    "piece",
    [
        "<!-- auto-illustrator:promptId=a,imageUrl=",
        '<img a="',
        "<img a='<img a=\"",
        "<img/a=",
        '<img class="auto-illustrator-img" ',
        f"<img {'a=b ' * 31}",
        "<!-- auto-illustrator:promptId=a,imageUrl=b -->",
    ],
)
def test_pieces_of_images_by_the_thousand_are_read_once_each(piece):
    text = f"auto-illustrator{piece * 20_000}"
    assert all(found.kind == "leftover" for found in extension_images(text))
