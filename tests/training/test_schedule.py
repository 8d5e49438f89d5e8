import pytest

from ssl_kit.training import schedule as module
from ssl_kit.training.precision import choose_precision
from ssl_kit.training.schedule import Schedule
from ssl_kit.training.settings import TrainConfig


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_epochs_fix_the_length_at_once():
    assert Schedule(TrainConfig(epochs=7), 10).steps == 70
    assert Schedule(TrainConfig(), 10).steps == 1000


def test_a_length_from_a_checkpoint_stays():
    schedule = Schedule(TrainConfig(max_time=60), 10, steps=123)
    assert schedule.steps == schedule.provisional == 123
    assert not schedule.measured(50)


def test_a_time_leaves_the_length_open_until_it_is_measured(clock):
    schedule = Schedule(TrainConfig(max_time=60), 10)
    assert schedule.steps == 0
    assert schedule.provisional == 1000
    assert Schedule(TrainConfig(max_time=60, epochs=3), 10).provisional == 30


@pytest.mark.parametrize(("max_time", "measured_for"), [(20, 2), (3600, 10)])
def test_it_measures_a_tenth_of_the_time_but_ten_seconds_at_most(clock, max_time, measured_for):
    schedule = Schedule(TrainConfig(max_time=max_time), 10)
    assert not any(schedule.measured(step) for step in range(4))
    clock.now += measured_for - 0.1
    assert not schedule.measured(5)
    clock.now += 0.2
    assert schedule.measured(6)


def test_the_first_slow_steps_do_not_count(clock):
    schedule = Schedule(TrainConfig(max_time=100), 10)
    clock.now += 5  # a slow start
    schedule.measured(3)
    clock.now += 10  # then 20 steps a second
    assert schedule.measured(203)
    assert schedule.propose(203, elapsed=15) == 203 + (96 - 15) * 20


def test_epochs_are_an_upper_limit_beside_a_time(clock):
    schedule = Schedule(TrainConfig(max_time=100, epochs=3), 10)
    schedule.measured(3)
    clock.now += 10
    assert schedule.propose(13, elapsed=12) == 30


def test_there_is_always_a_step_left(clock):
    schedule = Schedule(TrainConfig(max_time=1), 10)
    schedule.measured(3)
    clock.now += 30
    assert schedule.propose(4, elapsed=31) == 5


@pytest.mark.parametrize("asked", ["fp32", "bf16", "fp16"])
def test_a_precision_that_is_asked_for_is_taken(asked):
    assert choose_precision(asked) == asked


def test_auto_is_a_precision_of_this_machine():
    assert choose_precision("auto") in ("fp32", "bf16")
