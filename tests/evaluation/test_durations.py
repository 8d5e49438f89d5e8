from ssl_kit.evaluation.comparing.arms import Arm
from ssl_kit.evaluation.comparing.durations import Durations
from ssl_kit.evaluation.comparing.plan import Cell


def cell(name, budget, seed=0):
    return Cell(Arm(name, name), budget, seed)


def test_nothing_is_expected_before_a_result_was_measured():
    assert Durations("linear").expected([cell("imagenet", "10")]) is None


def test_a_result_is_expected_to_take_as_long_as_those_like_it():
    durations = Durations("linear")
    durations.add(cell("imagenet", "10"), 2.0)
    durations.add(cell("imagenet", "10", 1), 4.0)
    durations.add(cell("scratch", "10"), 100.0)  # is fine-tuned
    assert durations.expected([cell("random-frozen", "10")]) == 3
    assert durations.expected([cell("random-frozen", "all")]) == 3
    assert durations.expected([cell("scratch", "all"), cell("scratch", "10", 2)]) == 200
