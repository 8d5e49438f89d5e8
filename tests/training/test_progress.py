import time
from types import SimpleNamespace

from ssl_kit.training.checkpoint import Checkpoint
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.settings import RunConfig


def test_the_first_checkpoint_comes_early(tmp_path):
    run = Run.create(tmp_path / "run", RunConfig(domain="natural"))
    checkpoint, now = Checkpoint(run, SimpleNamespace(scaler=None), None), time.monotonic()
    assert checkpoint.is_due(now - 61, every=600)
    assert not checkpoint.is_due(now - 30, every=600)
    assert checkpoint.is_due(now - 30, every=10)
    run.save_checkpoint({})
    assert not checkpoint.is_due(now - 61, every=600)


def test_a_log_has_a_line_at_the_start_and_then_each_minute(capsys):
    progress = Progress()
    for due in (float("inf"), 0.0):  # before and after the start of a training
        progress._line_due = due
        progress.step(4, 100, None, 10.0)
        progress.step(5, 100, None, 12.5)
    log = capsys.readouterr().err
    assert log.startswith("step 4/100  2.5 s per step  end at about 20")
    assert log.count("\n") == 1


def test_brackets_in_names_are_printed_as_they_are(capsys):
    progress = Progress()
    for show in (progress.say, progress.warn):
        show("data[1]/[red]/[/x] :warning:")
    assert capsys.readouterr().err == "data[1]/[red]/[/x] :warning:\n" * 2
