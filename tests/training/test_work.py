import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from ssl_kit.training.progress import Progress
from ssl_kit.training.work import Work, as_parts, begin_part, counted, note_progress


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("ssl_kit.training.work.time", clock)
    return clock


def said(progress):
    lines = []
    progress.say = lines.append
    return lines


def test_a_log_has_a_line_after_five_seconds_and_then_each_minute(clock):
    progress = Progress()
    lines = said(progress)
    with Work(progress, 3) as work:
        for number in range(3):
            work.begin(f"part {number}")
            clock.now += 40
            note_progress(1, 2, "epoch")
            work.end()
    assert lines == [
        "0/3  part 0  epoch 1/2  0:40 elapsed",
        "2/3  part 2  epoch 1/2  2:00 elapsed, about 0:00 left",
    ]


def test_the_time_left_is_that_of_the_parts_done_unless_it_is_given(clock):
    with Work(Progress(quiet=True), 4) as work:
        for expected in (None, None, 12.0):
            work.begin("part", expected)
            clock.now += 10
            work.end()
        assert work.text.endswith("0:30 elapsed, about 0:02 left")
        work.begin("part")
        clock.now += 4
        assert work.text == "3/4  part  0:34 elapsed, about 0:06 left"


def test_steps_tell_how_long_the_others_take(clock):
    with Work(Progress(quiet=True)) as work:
        work.begin("fine-tuning")
        for epoch in (1, 2, 3):
            clock.now += 5
            note_progress(epoch, 9, "epoch")
        assert work.text == "fine-tuning  epoch 3/9 (0:30 more)  0:15 elapsed"
        note_progress(9, 9, "epoch")
        assert work.text == "fine-tuning  0:15 elapsed"


def test_counted_and_inner_steps_stand_side_by_side(clock):
    texts = []
    with Work(Progress(quiet=True)) as work:
        for _ in counted(["a", "b"], "fold"):
            note_progress(3, 7, "epoch")
            texts.append(work.text)
    assert texts[1] == "fold 1/2  epoch 3/7  0:00 elapsed"


def test_items_are_parts_of_the_work_under_way(clock):
    with Work(Progress(quiet=True)) as work:
        texts = [work.text for _ in as_parts([10, 20], str)]
    assert texts == ["0/2  10  0:00 elapsed", "1/2  20  0:00 elapsed, about 0:00 left"]


def test_without_work_nothing_is_shown(capsys):
    note_progress(1, 2, "epoch")
    begin_part("part", 3.0)
    assert [*as_parts("ab", str)] == [*counted("ab", "step")] == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_a_terminal_has_one_line_that_is_refreshed(clock):
    progress = Progress()
    progress._console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Work(progress, 2) as work:
        work.begin("scratch, budget 10, seed 0", 30.0)
        work._bar.refresh()
    shown = progress._console.file.getvalue()
    assert "0/2  scratch, budget 10, seed 0  0:00 elapsed, about 0:30 left" in shown
