from pathlib import Path

import pytest
import torch

from ssl_kit import Output, RunError
from ssl_kit.training.tally import Tally

RUN = Path("run")
PHASES = ((1.0, "instance"), (2.0, "alignment"))


def add(tally, loss, step=1, **metrics):
    values = {name: torch.tensor(value) for name, value in metrics.items()}
    tally.add([Output(torch.tensor(loss), values)], ("a.png", "b.png"), step)


def test_means_of_loss_and_metrics():
    tally = Tally(str, RUN)
    add(tally, 1.0, 1, accuracy=0.5)
    add(tally, 4.0, 2, accuracy=1.0)
    tally.settle()
    assert tally.means() == {"loss": 2.5, "accuracy": 0.75}
    assert tally.count == 2


def test_the_last_step_counts_only_when_settled():
    tally = Tally(str, RUN)
    add(tally, 1.0)
    assert tally.count == 0
    tally.settle()
    tally.settle()
    assert tally.count == 1


def test_the_loss_of_a_step_is_the_sum_over_its_phases():
    tally = Tally(str, RUN)
    phases = [Output(torch.tensor(loss), {name: torch.tensor(loss)}) for loss, name in PHASES]
    tally.add(phases, ("a.png",), 1)
    tally.settle()
    assert tally.means() == {"loss": 3.0, "instance": 1.0, "alignment": 2.0}


def test_reset_starts_anew():
    tally = Tally(str, RUN)
    add(tally, 1.0)
    tally.settle()
    tally.reset(60.0)
    add(tally, 3.0)
    tally.settle()
    assert tally.means() == {"loss": 3.0}


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number_stops_with_the_keys(loss):
    tally = Tally(str, RUN)
    add(tally, loss, 7)
    with pytest.raises(RunError, match=r"became (nan|-?inf) at step 7; .*resume run'.*: a.png, b"):
        add(tally, 1.0, 8)


def test_state_goes_on_exactly():
    one, two = Tally(str, RUN), Tally(str, RUN)
    one.reset(30.0)
    add(one, 1.0, accuracy=0.5)
    one.settle()
    two.load_state_dict(one.state_dict())
    for tally in (one, two):
        add(tally, 2.0, accuracy=0.25)
        tally.settle()
    assert one.means() == two.means()
    assert one.since == two.since == 30.0
