"""A host's attributes stand on each `<img>`, escaped, and every reader still knows the mark."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_texts import placement, scan, tag, urls

from limner.messages.errors import SettingsInvalid
from limner.messages.picture_requests import PictureRequest, RequestOutcome
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.settings import Settings
from limner.messages.text.clean import clean
from limner.messages.text.compose import compose
from limner.messages.text.marks import find_marks, mark, marked
from limner.messages.text.notation import Notation
from limner.messages.text.reconcile import reconcile
from limner.messages.text.revise import remove, revise

ALL = {
    "width": "50%",
    "height": "300",
    "class": "mes_img round:lg",
    "loading": "lazy",
    "decoding": "async",
    "title": """a > b < c "d" 'e' = `f` | g &quot; -->""",
}
TEXT = f"x {tag('cat')} y {tag('dog')} z"


def notation(markup="html"):
    return Notation(markup=markup, image_attributes=ALL)


def illustrated(text=TEXT, markup="html", **values):
    placed = [placement(Prompt.of("m", match)) for match in scan(text, notation())]
    composed = compose(
        text, placed, message_id="m", markup=markup, **{"image_attributes": ALL, **values}
    )
    return placed, composed.text


class Images(HTMLParser):
    """The attributes of the `<img>` tags of a text."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(attrs)


@pytest.mark.parametrize("markup", ["html", "markdown"])
def test_each_attribute_stands_on_each_picture_as_one(markup):
    placed, text = illustrated(markup=markup)
    images = Images(text).found
    assert [dict(image)["data-limner"] for image in images] == [
        placement.id for placement in placed
    ]
    for image in images:
        assert [name for name, _ in image] == ["data-limner", "alt", "src", *ALL]
        given = dict(image)
        assert {name: given[name] for name in ALL if name != "title"} == {
            name: value for name, value in ALL.items() if name != "title"
        }
        assert given["title"].startswith("a \u203a b \u2039 c \u201dd\u201d 'e' = `f` | g")
        assert not set(given["title"]) & set('<>"')


def test_without_attributes_markdown_stays_markdown():
    _, text = illustrated(markup="markdown", image_attributes={})
    assert "![cat]" in text
    assert "<img" not in text


@pytest.mark.parametrize("markup", ["html", "markdown"])
def test_every_reader_knows_a_mark_with_attributes(markup):
    placed, text = illustrated(markup=markup)
    cat, dog = placed
    assert [found.id for found in find_marks(text, scan(text, notation()))] == [cat.id, dog.id]
    assert marked(text) == {cat.id, dog.id}
    assert scan(text, notation()) == [
        match.but(start=text.index(match.tag), end=text.index(match.tag) + len(match.tag))
        for match in scan(TEXT, notation())
    ]
    assert clean(text) == clean(TEXT)
    assert clean(text, keep=("prompts",)) == TEXT
    left = remove(text, cat.id, notation=notation(markup))
    assert remove(left, dog.id, notation=notation(markup)) == TEXT
    registry = Registry().settle("m", RegistryUpdate(placed=(cat, dog)), "")
    again = reconcile(left, registry, message_id="m", notation=notation(markup))
    assert (again.text, again.placed) == (text, (cat,))
    assert illustrated(text, markup)[1] == text


def test_a_replacement_has_the_attributes_and_other_pictures_stay():
    (cat, dog), text = illustrated(image_attributes={})
    new = placement(Prompt.of("m", scan(TEXT, notation())[0]), b"b")
    request = PictureRequest(
        prompt=Prompt.of("m", scan(TEXT, notation())[0]), place="replace-image", target=cat.id
    )
    outcome = RequestOutcome(request=request, placement=new)
    registry = Registry().settle("m", RegistryUpdate(placed=(cat, dog)), "")
    revised = revise(text, [outcome], registry, message_id="m", notation=notation())
    first, second = Images(revised.text).found
    assert dict(first)["loading"] == "lazy"
    assert mark(dog, "html") in revised.text
    assert "loading" not in dict(second)


titles = st.text(st.sampled_from("ab <>&;'\"=`|\\-/#39lt"), min_size=1, max_size=12).filter(
    str.strip
)


@given(titles, urls)
def test_no_title_ends_its_mark(title, url):
    Settings(image_attributes={"title": title})
    one = placement(Prompt.of("m", scan(TEXT, notation())[0]), url=url)
    written = mark(one, "html", attributes={"title": title})
    (found,) = find_marks(f"a {written} b")
    assert (found.id, found.start, found.end) == (one.id, 2, 2 + len(written))
    ((*_, (name, _)),) = Images(written).found
    assert name == "title"


@pytest.mark.parametrize(
    "attributes",
    [
        {"onerror": "alert(1)"},
        {"src": "x"},
        {"data-limner": "x"},
        {"style": "a"},
        {"Width": "1"},
        {"width": "100px; x"},
        {"width": "-1"},
        {"width": "123456"},
        {"loading": "never"},
        {"class": ""},
        {"class": 'a" onerror="b'},
        {"title": "a\nb"},
        {"title": " "},
        {"title": "x" * 201},
        {"x" * 9_000: "y"},
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line(attributes):
    with pytest.raises(SettingsInvalid, match="image_attributes") as refused:
        Settings(image_attributes=attributes)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_setting_comes_to_the_text():
    settings = Settings(image_attributes={"width": "50%"}, markup="markdown")
    assert settings.notation.image_attributes == {"width": "50%"}
