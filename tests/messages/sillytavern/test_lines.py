"""Lines of chat files: read as JavaScript reads them, changed and nothing else in them."""

import json

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.drawn_chats import TEXTS, VALUES, Drawn, messages, spelled
from support.instructions import grows_in_proportion

from limner.messages.sillytavern.json_strings import respelled
from limner.messages.sillytavern.lines import BrokenLine, members, put, read_message
from limner.messages.unicode import wellformed


@settings(max_examples=60)
@given(messages(), TEXTS)
def test_a_rewritten_line_is_the_same_outside_its_text(drawn: Drawn, text: str) -> None:
    message = read_message(drawn.line + "\r\n")
    assert message.text == drawn.text
    assert message.speaker == "assistant"
    rewritten = message.rewritten(text)
    assert drawn.says(rewritten.removesuffix("\r\n"), text)
    assert read_message(rewritten).text == text
    assert message.rewritten(message.text) == message.line


@settings(max_examples=20)
@given(messages(speaker="user"))
def test_a_message_of_the_user_is_told_from_the_assistants(drawn: Drawn) -> None:
    assert read_message(drawn.line).speaker == "user"


def test_a_message_of_the_system_is_told_from_the_assistants() -> None:
    assert read_message('{"mes":"x","is_user":false,"is_system":true}').speaker == "system"


@pytest.mark.parametrize(
    ("swipes", "chosen", "rewritten"),
    [
        ('["a","b"]', "0", '["new","b"]'),
        ('["b","\\u0061"]', "1.0", '["b","new"]'),
        ('["a","b"]', "1", '["a","b"]'),  # the user edited the message, but not its swipe
        ('["a"]', "7", '["a"]'),
        ('["a"]', "-1", '["a"]'),
        ('["a"]', "1e999", '["a"]'),
        ('["b","a"]', "true", '["b","a"]'),
        ('["a"]', '"0"', '["a"]'),
        ('"a"', "0", '"a"'),
        ("[[]]", "0", "[[]]"),
    ],
)
def test_the_chosen_swipe_follows_if_it_was_equal(swipes: str, chosen: str, rewritten: str) -> None:
    line = '{{"swipes":{},"mes":"{}","swipe_id":{}}}'
    message = read_message(line.format(swipes, "a", chosen))
    assert message.rewritten("new") == line.format(rewritten, "new", chosen)


def test_the_last_of_two_equal_keys_counts() -> None:
    message = read_message('{"mes":"first","mes":"last"}')
    assert message.text == "last"
    assert message.rewritten("new") == '{"mes":"first","mes":"new"}'


def in_common(old: str, new: str) -> bool:
    """Return whether two texts share as much as `respelled` keeps in the middle of a text."""
    return any(old[at : at + 16] in new for at in range(len(old) - 15))


RUN = "<<<<<<<<<<<<<<=\\"  # 16 characters: what is put in its place may hold them again


@given(st.data())
@example(None)
def test_a_spelling_stays_where_the_text_is_the_same(data: st.DataObject | None) -> None:
    if data is None:
        before, old, after = "", RUN, ""
        raws = ['""', r'"<<<<<<<<<<<<<<=\u005c"', '""']
        new = "<<<<<<<<<<<<<<[\\>"
    else:
        before, old, after = (data.draw(TEXTS) for _ in range(3))
        raws = [data.draw(spelled(piece)) for piece in (before, old, after)]
        new = f"<{data.draw(TEXTS)}>"
        assume(not in_common(f"({old})", new))  # else that keeps its spelling too
    # what differs begins and ends with what the other does not begin and end with
    raw = raws[0][:-1] + "(" + raws[1][1:-1] + ")" + raws[2][1:]
    inner = json.dumps(new, ensure_ascii=False)[1:-1]
    assert respelled(raw, before + new + after) == raws[0][:-1] + inner + raws[2][1:]


@pytest.mark.parametrize("around", ["<>", "ab"])
@pytest.mark.parametrize(("size", "stays"), [(15, False), (16, True), (17, True)])
def test_sixteen_equal_characters_keep_their_spelling_anywhere(
    around: str, size: int, stays: bool
) -> None:
    same = "<" * (size - 2) + "=\\"
    raw = '"(' + "<" * (size - 2) + r'=\u005c)"'
    spelling = raw[2:-2] if stays else json.dumps(same)[1:-1]
    assert respelled(raw, around[0] + same + around[1]) == f'"{around[0]}{spelling}{around[1]}"'


@given(st.data())
def test_what_is_put_around_an_equal_part_changes_no_spelling_of_it(data: st.DataObject) -> None:
    same = data.draw(st.text("ab<=\\\u00e9", min_size=16, max_size=40))
    raw = data.draw(spelled(same))
    before, after = (
        data.draw(st.sampled_from(["", "x", "xy"])),
        data.draw(st.sampled_from(["", "z"])),
    )
    respelling = respelled(f'"({raw[1:-1]})"', f"{before}{same}{after}")
    assert respelling == f'"{before}{raw[1:-1]}{after}"'


@given(st.data())
@example(None)
def test_any_text_can_take_the_place_of_any_other(data: st.DataObject | None) -> None:
    if data is None:  # two halves come together
        raw, text = '"\\ud83dx\\ude00"', "\ufffd\ufffd"
    else:
        raw = data.draw((TEXTS | st.text("a\ud83d\ude00", max_size=5)).flatmap(spelled))
        text = wellformed(data.draw(TEXTS | st.text("a\ufffd\U0001f600", max_size=5)))
    respelling = respelled(raw, text)
    assert wellformed(json.loads(respelling)) == text
    respelling.encode()


def test_what_is_added_to_a_run_of_one_character_leaves_its_spelling() -> None:
    assert respelled('"\\u0061a"', "aaa") == '"\\u0061aa"'
    assert respelled('"\\u0061a\\u0061"', "aa") == '"\\u0061a"'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{}{}{}", "{}(1){}(2){}"),
        ("{}(1){}(2){}", "{}{}{}"),
        ("{} <img a=1 b> {} <img a=2 b> {}", "{} <img a=3 b> {} <img a=4 b> {}"),
        ("{}{} <img a=1 b>{}", "{} <img a=2 b>{}{}"),
        ("{}(1){}{}", "{}{}(2){}"),
        ("{}{}{}", "{}" + "x" * 10_000 + "{}" + "x" * 10_000 + "{}"),
    ],
)
def test_what_stands_between_two_changes_stays_as_it_was_spelled(old: str, new: str) -> None:
    plain = ["it was a café \U0001f600 by the sea", "a house of 14 floors\n", "the end it was"]
    raws = [
        "it was a caf\\u00e9 \\uD83d\\uDE00 by the sea",
        "a house \\u006ff 14 floors\\n",
        "the \\u0065nd it was",
    ]
    spelling = respelled(f'"{old.format(*raws)}"', new.format(*plain))
    assert spelling == f'"{new.format(*raws)}"'


def much_or_little_in_common(size: int) -> list[tuple[str, str]]:
    pieces = [f"{number:09d} of the pieces" for number in range(size)]
    return [
        ("".join(pieces), "<1>".join(pieces)),
        ("<1>".join(pieces), "".join(pieces)),
        ("<1>".join(pieces), "<2>".join(pieces)),
        ("a" * 30 * size + "b", "b" + "a" * 25 * size),
        ("ab" * 15 * size, "ba" * 15 * size + "c"),
        ("".join(pieces), "".join(pieces[::-1])),
    ]


# texts that differ all over are compared letter by letter up to a length, and in large from there
@pytest.mark.parametrize(("kind", "size"), [(0, 50), (1, 50), (2, 400), (3, 50), (4, 50), (5, 50)])
def test_texts_that_have_much_or_little_in_common_take_no_longer_than_their_length(
    kind: int, size: int
) -> None:
    def respell(number: int) -> None:
        old, new = much_or_little_in_common(number)[kind]
        assert json.loads(respelled(f'"{old}"', new)) == new

    assert grows_in_proportion(respell, size)
    respell(20_000)


def test_new_characters_are_spelled_as_javascript_does() -> None:
    text = 'é😀"\\\n\x01\x7f\u2028/'
    assert respelled('""', text) == '"é😀\\"\\\\\\n\\u0001\x7f\u2028/"'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "is blank; repair it"),
        (" \n", "is blank"),
        ("{", "is not JSON (expecting property name enclosed in double quotes at character 2)"),
        ('{"mes":"a"', "is not JSON (expecting ',' delimiter at character 11)"),
        ('{"mes":"a\nb"}', "is not JSON (invalid control character at character 10)"),
        ('{"mes":"a"} {}', "is not JSON (more than one value at character 12)"),
        ("[1]", "is JSON but no object"),
        ("7", "is JSON but no object"),
        ('"mes"', "is JSON but no object"),
        ('{"text":"a"}', "is no message: its mes is missing"),
        ('{"mes":null}', "is no message: its mes is no string"),
        ('{"mes":"a","x":' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deeply"),
        ('{"mes":"\\x"}', "is not JSON (invalid \\escape at character 9)"),
    ],
)
def test_a_line_that_is_no_message_is_said_in_one_line(line: str, says: str) -> None:
    with pytest.raises(BrokenLine) as caught:
        read_message(line)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@settings(max_examples=60)
@given(st.lists(st.tuples(TEXTS, VALUES), max_size=4), st.data())
def test_what_is_put_into_an_object_is_in_it_and_the_rest_is_as_it_was(
    entries: list[tuple[str, str]], data: st.DataObject
) -> None:
    line = "{ " + ", ".join(f"{data.draw(spelled(key))}: {raw}" for key, raw in entries) + " }"
    path = data.draw(
        st.lists(TEXTS | st.sampled_from([one for one, _ in entries] or [""]), max_size=2)
    )
    key, value = data.draw(TEXTS), data.draw(VALUES)
    after = put(line, path, {key: value})
    place = members(after)
    for name in path:
        start = place[name].start
        place = members(after, start)
    assert after[place[key].start : place[key].end] == value
    kept = [raw for name, raw in entries if name != (path or [key])[0]]
    at = 0
    for raw in kept:  # in their order, as they were spelled
        at = after.index(raw, at) + len(raw)


def test_put_makes_what_is_missing_and_comes_last() -> None:
    assert put("{}\n", ("a", "b"), {"c": "1"}) == '{"a":{"b":{"c":1}}}\n'
    assert put('{"x": 1.0 }', (), {"y": "2", "x": "3"}) == '{"x": 3,"y":2 }'
    assert put('{"a":null}', ("a",), {"c": "1"}) == '{"a":{"c":1}}'


@pytest.mark.parametrize("unit", ["\\n\\n\\n", "aaaaaa", "\\ud83d"])
def test_long_and_hostile_lines_take_no_longer_than_their_length(unit: str) -> None:
    def rewrite(size: int) -> None:
        raw = f'"{unit * size}"'
        line = f'{{"mes":{raw},"swipes":[{"1," * size}{raw}],"swipe_id":{size}}}'
        message = read_message(line)
        half = len(message.text) // 2
        new = message.text[:half] + "<!-- -->" + message.text[half:]
        assert read_message(message.rewritten(new)).text == new

    assert grows_in_proportion(rewrite, 250)
    rewrite(60_000)
