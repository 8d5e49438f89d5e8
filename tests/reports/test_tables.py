from ssl_kit.reports.tables import aligned, in_blocks


def test_columns_are_aligned_and_rows_may_be_short():
    rows = [["a", "long", 1], ["bbb", "x", 22], ["c"], [""]]
    assert aligned(rows) == ["a    long  1", "bbb  x     22", "c", ""]
    assert aligned([]) == []


def test_columns_that_do_not_fit_follow_below_beside_the_first():
    rows = [["name", *("c" * 30 for _ in range(3))], ["x", 1, 2, 3]]
    lines = in_blocks(rows)
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[1::3]] == [["x", "1", "2"], ["x", "3"]]
    assert in_blocks([["a", "b"]]) == ["a  b"]
    assert in_blocks([]) == []
