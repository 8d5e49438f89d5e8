import pytest

from ssl_kit.reports.tables import aligned, fold, in_blocks


def test_columns_are_aligned_and_rows_may_be_short():
    rows = [["a", "long", 1], ["bbb", "x", 22], ["c"], [""]]
    assert aligned(rows) == ["a    long  1", "bbb  x     22", "c", ""]
    assert aligned([]) == []


def test_columns_that_do_not_fit_follow_below_beside_the_first():
    rows = [["name", 1, 2, 3], ["x", *("c" * 30 for _ in range(3))]]
    lines = in_blocks(rows)
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[::3]] == [["name", "1", "2"], ["name", "3"]]
    assert in_blocks([["a", "b"]]) == ["a  b"]
    assert in_blocks([]) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("remote_sensing-simclr", ["remote_", "sensing-", "simclr"]),
        ("a b c d e f", ["a b c d", "e f"]),
        ("abcdefghijkl", ["abcdefgh", "ijkl"]),
        ("  indented", ["  indented"]),
        ("", [""]),
    ],
)
def test_names_are_folded_behind_their_marks(text, lines):
    assert fold(text, 10 if text.startswith("  ") else 8) == lines


def test_a_bracket_stays_with_what_it_opens():
    assert fold("5 labels per class (15)", 20) == ["5 labels per class", "(15)"]


def test_long_headings_are_folded_and_never_cut():
    names = ["remote_sensing-descriptors-resnet50-20260101", "remote_sensing-simclr-resnet50-2"]
    lines = in_blocks([["knn", *names], ["accuracy", "70.8 [67.0, 74.0]", "75.9 [72.9, 78.8]"]])
    assert all(len(line) <= 80 for line in lines)
    second = lines[0].index("remote", 20)
    cells = [(line[8:second].strip(), line[second:].strip()) for line in lines[:-1]]
    assert ["".join(parts) for parts in zip(*cells, strict=True)] == names


def test_a_long_first_column_is_folded():
    name = "an_encoder_with_a_very_long_name against another_encoder_with_a_long_name"
    lines = in_blocks([["", "all"], [name, "+1.0 [0.5, 1.5]"], ["b", "+2.0"]])
    assert lines[1].endswith("+1.0 [0.5, 1.5]")
    assert " ".join(line[:42].strip() for line in lines[1:3]).replace("_ ", "_") == name
    assert lines[-1].startswith("b ")


def test_blocks_have_no_empty_lines_of_other_headings():
    rows = [["", "a_very_long_heading_of_three_lines_or_more", "b"], ["x", "1" * 60, "2" * 30]]
    assert "" not in in_blocks(rows)[-2:]
    assert in_blocks(rows).count("") == 1
