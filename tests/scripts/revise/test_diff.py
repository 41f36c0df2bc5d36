"""The diff of a dry run."""

from hypothesis import given
from hypothesis import strategies as st

from limner.scripts.revise.diff import changes, harmless, unified

LINES = st.lists(st.sampled_from(["", "a", "b", "c", "d"]), max_size=12)


@given(LINES, LINES)
def test_the_changes_make_the_new_lines_of_the_old_ones(old, new):
    made, at = [], 0
    for change in changes(old, new):
        assert (change.start, change.first) != (change.end, change.last)
        assert change.start >= at
        made += [*old[at : change.start], *new[change.first : change.last]]
        at = change.end
    assert [*made, *old[at:]] == new


@given(LINES, LINES, st.booleans(), st.booleans())
def test_each_text_is_read_off_the_diff_where_that_shows_all_of_it(old, new, ends, other_ends):
    before = "\n".join(old) + "\n" * ends
    after = "\n".join(new) + "\n" * other_ends
    shown = list(unified("f", before, after))
    assert bool(shown) == (before != after)
    if shown and sum(line.startswith("@@") for line in shown) == 1:
        assert read_off(shown, "-") in before
        assert read_off(shown, "+") in after


def read_off(shown: list[str], sign: str) -> str:
    lines: list[str] = []
    last = ""
    for line in shown[3:]:
        if line.startswith("\\"):
            if last in {" ", sign}:
                lines[-1] = lines[-1].removesuffix("\n")
            continue
        last = line[:1]
        if last in {" ", sign}:
            lines.append(f"{line[1:]}\n")
    return "".join(lines)


def test_a_change_is_shown_with_the_lines_around_it_as_patch_reads_it():
    before = "".join(f"{number}\n" for number in range(20))
    shown = "\n".join(unified("f", before, before.replace("9\n", "x\n", 1)))
    assert shown == ("--- f\n+++ f\n@@ -7,7 +7,7 @@\n 6\n 7\n 8\n-9\n+x\n 10\n 11\n 12")
    assert list(unified("f", "a\n", "a"))[3:] == ["-a", "+a", "\\ No newline at end of file"]
    assert list(unified("f", "", "a\n"))[2:] == ["@@ -0,0 +1,1 @@", "+a"]


def test_a_diff_of_texts_that_have_no_line_once_stays_small_work():
    before = "a\nb\n" * 200_000
    assert len(list(unified("f", before, f"c\n{before[:-4]}"))) > 3


def test_a_line_cannot_drive_the_terminal():
    assert harmless("a\x1b[2J\tb\x9b\u202e é\r") == "a�[2J\tb�� é�"
