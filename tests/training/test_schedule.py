import itertools

import pytest
import torch

from ssl_kit import RunError
from ssl_kit.training.optim import learning_rate
from ssl_kit.training.precision import choose_precision
from ssl_kit.training.schedule import Schedule
from ssl_kit.training.settings import OptimizerConfig, TrainConfig

OPTIMIZER = OptimizerConfig(lr=1.0)


def simulated(max_time, seconds_of_step, epochs=None, per_epoch=10, changes=(), rates=None):
    """Trains on a simulated machine; returns the schedule, the steps and the seconds."""
    schedule = Schedule(TrainConfig(max_time=max_time, epochs=epochs), per_epoch, changes)
    step, now = 0, 0.0
    while step < schedule.steps(step):
        if rates is not None:
            length = schedule.length(step, coming=True)
            rates.append(learning_rate(step, length, OPTIMIZER, 256))
        seconds = seconds_of_step(step, now)
        step, now = step + 1, now + seconds
        schedule.measured(seconds)
        if steps := schedule.correction(step, now):
            schedule.change(step, steps, now)
    return schedule, step, now


@pytest.mark.parametrize(("epochs", "steps"), [(7, 70), (0.5, 5), (2.14, 21), (0.01, 1)])
def test_epochs_fix_the_length_at_once(epochs, steps):
    assert Schedule(TrainConfig(epochs=epochs), 10).steps(3) == steps


def test_whole_numbers_of_epochs_are_written_as_such():
    for given, written in ((10.0, "10"), (10, "10"), (0.5, "0.5")):
        config = TrainConfig(epochs=given)
        assert repr(config.epochs) == written
        assert f'"epochs":{written},' in config.model_dump_json()
    assert Schedule(TrainConfig(), 10).steps(0) == 1000


def test_the_length_of_an_unchanged_plan_is_its_number_of_steps():
    schedule = Schedule(TrainConfig(epochs=333), 7)
    assert {schedule.length(step) for step in range(2332)} == {2331}


@pytest.mark.parametrize("steps", [2, 5, 20, 200, 1000])
def test_the_learning_rate_rises_and_falls_in_however_few_steps_fit(steps):
    rates = []
    simulated(steps, lambda step, now: 0.98, rates=rates)
    known = [learning_rate(step, len(rates), OPTIMIZER, 256) for step in range(len(rates))]
    assert max(rates) > 0.9 * max(known[1:])
    assert rates[-1] == pytest.approx(known[-1], abs=0.01)
    peak = rates.index(max(rates))
    assert peak <= max(4, 0.06 * len(rates))
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_a_slow_first_step_does_not_end_the_warm_up():
    rates = []
    _, steps, seconds = simulated(100, lambda step, now: 8 if step == 0 else 0.1, rates=rates)
    assert seconds > 97
    known = [learning_rate(step, steps, OPTIMIZER, 256) for step in range(steps)]
    assert max(rates[:14]) < 0.5
    assert rates[14:] == pytest.approx(known[14:], abs=0.01)  # 1 % of the time was measured


def test_a_slow_first_step_does_not_end_the_training():
    schedule, steps, seconds = simulated(10, lambda step, now: 6 if step == 0 else 0.05)
    assert schedule.changes[1] == (1, 2)
    assert steps > 70
    assert seconds > 9.5


def test_a_first_step_that_takes_all_of_the_time_is_the_last():
    schedule, steps, _ = simulated(10, lambda step, now: 30)
    assert (steps, schedule.changes) == (1, [(0, 100), (1, 1)])
    assert schedule.known_steps(1) == 1


def test_the_number_of_steps_is_not_known_as_long_as_only_first_steps_were_measured():
    schedule = Schedule(TrainConfig(max_time=60), 10, [(1, 20), (2, 90), (10, 100)])
    assert [schedule.known_steps(step) for step in (0, 1, 2, 9, 10)] == [0, 0, 0, 0, 100]
    assert Schedule(TrainConfig(max_time=60), 10, [(1, 2)]).known_steps(2) == 2


def test_a_first_plan_takes_a_small_share_for_less():
    schedule = Schedule(TrainConfig(max_time=60), 10, [(1, 10), (2, 4), (4, 40)])
    assert schedule.progress(1, coming=True) == pytest.approx(0.1 * 0.2)
    assert schedule.progress(2, coming=True) == 0.5
    assert schedule.progress(4, coming=True) == 0.1


@pytest.mark.parametrize("max_time", [20, 90, 36_000])
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("factor", [3, 1 / 3])
def test_a_time_is_kept_when_the_machine_changes_its_speed(max_time, at, factor):
    quick = max_time / 2000

    def seconds_of_step(step, now):
        return quick * (1 if now < at * max_time else factor) * (20 if step < 2 else 1)

    schedule, steps, seconds = simulated(max_time, seconds_of_step)
    assert (0.95 if at < 0.9 else 0.9) * max_time < seconds < 1.02 * max_time
    assert schedule.progress(steps) == pytest.approx(1)
    assert len(schedule.changes) < 110


def test_a_single_long_pause_is_made_up_for():
    schedule, steps, seconds = simulated(100, lambda step, now: 30 if step == 500 else 0.1)
    assert 95 < seconds < 102
    assert schedule.progress(502) < 0.51
    assert steps == pytest.approx(690, abs=10)


def test_a_change_bends_the_progress_and_never_makes_it_jump():
    schedule, steps, _ = simulated(100, lambda step, now: 0.1 if now < 50 else 0.3)
    progress = [schedule.progress(step) for step in range(steps + 1)]
    rises = [b - a for a, b in itertools.pairwise(progress[20:])]
    assert min(rises) > 0
    assert max(rises) < 0.004  # a quick step is worth 0.001, a slow one 0.003
    ratios = [step / schedule.length(step) for step in range(1, steps + 1)]
    assert ratios == pytest.approx(progress[1:], rel=0.002)
    assert ratios[-1] == 1


@pytest.mark.parametrize("epochs", [3, 40, None])
def test_other_epochs_at_a_resume_leave_the_progress_so_far_as_it_is(epochs):
    before = Schedule(TrainConfig(max_time=60, epochs=20), 10)
    resumed = Schedule(TrainConfig(max_time=60, epochs=epochs), 10, before.changes)
    assert [resumed.progress(step) for step in (2, 20)] == [0.01, 0.1]
    resumed.change(20, 60)
    assert resumed.progress(20, coming=True) == pytest.approx(0.1)


def test_few_long_steps_end_in_time():
    schedule, steps, seconds = simulated(100, lambda step, now: 9.0)
    assert (steps, seconds) == (11, 99)
    assert schedule.progress(10) == pytest.approx(10 / 11, abs=0.02)


def test_recorded_changes_repeat_a_plan_whatever_the_machine_does():
    schedule, _, _ = simulated(100, lambda step, now: 0.1 if now < 50 else 0.3)
    made = schedule.changes[1:]
    again, _, _ = simulated(100, lambda step, now: 0.2, changes=made)
    last = made[-1][0]
    progress = [schedule.progress(step) for step in range(last + 1)]
    assert [again.progress(step) for step in range(last + 1)] == progress


def test_epochs_are_an_upper_limit_beside_a_time():
    schedule, steps, seconds = simulated(100, lambda step, now: 0.1, epochs=3)
    assert (steps, schedule.changes) == (30, [(0, 30)])
    schedule, steps, seconds = simulated(100, lambda step, now: 1.0, epochs=30)
    assert steps < 100 < schedule.longest
    assert seconds < 102


def test_other_epochs_change_the_plan_of_a_resumed_run():
    schedule = Schedule(TrainConfig(epochs=9), 10, [(0, 50)])
    assert schedule.asked(20) == 90
    schedule.change(20, 90)
    assert schedule.progress(20) == 0.4
    assert schedule.progress(90) == 1
    assert schedule.asked(30) == 0
    with pytest.raises(RunError, match=r"90 steps already, and train.epochs allows 10"):
        Schedule(TrainConfig(epochs=1), 10, [(0, 200)]).asked(90)


@pytest.mark.parametrize("asked", ["fp32", "bf16", "fp16"])
def test_a_precision_that_is_asked_for_is_taken(asked):
    assert choose_precision(asked) == asked


def test_auto_is_a_precision_of_this_machine():
    assert choose_precision("auto") in ("fp32", "bf16")


def test_auto_is_fp32_on_a_cpu_for_depthwise_convolutions(monkeypatch):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_precision("auto", torch.nn.Conv2d(8, 8, 3)) == "bf16"
    assert choose_precision("auto", torch.nn.Conv2d(8, 8, 3, groups=8)) == "fp32"
