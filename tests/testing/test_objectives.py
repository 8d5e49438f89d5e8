"""The checker is checked: each broken plugin breaks one rule, and is told why."""

import re

import broken_objectives as broken
import pytest

from ssl_kit.testing import CheckFailed, objectives, state, toy

RULES = objectives.RULES


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    """SimCLR needs fewer than others."""
    monkeypatch.setattr(toy, "STEPS", 8)


BROKEN = {
    "declares_itself": (broken.NoPaper, "not a link"),
    "config_round_trips": (broken.AnyOption, "derive Config from ssl_kit.Config"),
    "defaults_are_settings": (broken.MisspelledDefault, "Did you mean 'optimizer'?"),
    "asks_for_views": (broken.OwnPolicy, "not every domain has a policy 'stained'"),
    "loss_is_a_finite_scalar": (broken.AttachedMetric, "half.*detach them"),
    "gradients_reach_what_is_trained": (broken.UnusedLayer, "'forgotten.weight' gets no gradient"),
    "features_are_trained": (broken.TrainsPatchesOnly, "set `trains`"),
    "deterministic": (broken.NumpyWeights, "initialize from torch's generator"),
    "loss_falls": (broken.WrongWay, "negated"),
    "state_is_complete": (broken.HiddenOffset, "keep all state in"),
    "resume_is_exact": (broken.HiddenCounter, "'teacher.*keep what `after_step` counts"),
    "small_batches": (broken.KeptLabels, "with 5 images; is the size of an earlier batch kept?"),
    "any_number_of_channels": (broken.ThreeChannels, "take C from encoder.channels"),
    "odd_sizes": (broken.EvenSizes, "at 37 pixels; take sizes from tensors"),
    "half_precision": (broken.HalfLoss, "use @ssl_kit.nn.full_precision"),
    "every_image_has_its_row": (broken.SmallMemory, "training.images rows"),
    "teacher_follows": (broken.ForgottenProjector, "'teacher.projector' does not move towards"),
    "project_is_a_function": (broken.NoisyProjection, "projections are noisy"),
    "collapse_is_seen": (broken.NoisyEncoder, "noise or dropout left on"),
    "processes_agree": (broken.AloneTogether, "gather what the loss compares"),
}


def test_there_is_a_broken_plugin_for_each_rule():
    assert list(BROKEN) == [rule.__name__ for rule in RULES]


@pytest.mark.slow  # as the conformance tests of all objectives do
def test_a_sound_plugin_breaks_none(check):
    assert check(RULES, broken.Sound) == {}


@pytest.mark.parametrize("rule", RULES, ids=list(BROKEN))
def test_a_broken_plugin_breaks_its_rule_and_is_told_why(check, rule):
    plugin, cause = BROKEN[rule.__name__]
    assert re.search(cause, check([rule], plugin)[rule.__name__])


@pytest.mark.slow
@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_plugin_breaks_no_other_rule(check, rule):
    assert list(check(RULES, BROKEN[rule][0])) == [rule]


@pytest.mark.parametrize(
    ("plugin", "cause"),
    [
        (broken.EarlyTeacher, "'teacher.encoder' moves before `after_step`"),
        (broken.TrainedTeacher, "'teacher.encoder' takes a gradient"),
        (broken.UnevenTeacher, "'teacher.projector' is no moving average"),
    ],
)
def test_a_wrong_teacher_is_told_why(plugin, cause):
    with pytest.raises(CheckFailed, match=cause):
        state.teacher_follows(plugin)


def test_an_objective_without_a_teacher_is_noted():
    assert state.teacher_follows(broken.Sound) == "has no `nn.Teacher`"


def test_a_number_of_channels_may_be_refused_saying_why():
    remark = objectives.any_number_of_channels(broken.NoGray)
    assert remark == "refuses 1 channels: Colors are needed; these images have one channel."


def test_three_channels_may_not_be_refused(check):
    found = check([objectives.any_number_of_channels], broken.NoColors)
    assert "it refuses 3 channels: Three channels" in found["any_number_of_channels"]


def test_a_loss_that_is_not_finite_on_equal_images_is_found(check):
    found = check([objectives.collapse_is_seen], broken.InvertedSpread)
    assert "add a small number to what divides" in found["collapse_is_seen"]


def test_after_processes_that_do_not_do_the_same_the_next_check_works(check):
    found = check([objectives.processes_agree], broken.NeedsTheFirst)
    assert "all must gather the same" in found["processes_agree"]
    assert check([objectives.processes_agree], broken.Sound) == {}


def test_what_cannot_be_equal_is_not_compared():
    class Apart(broken.Sound):
        """Differs by design."""

        processes_differ = "each process has a queue of its own"

    assert objectives.processes_agree(Apart) == (
        "not compared: each process has a queue of its own"
    )


def test_a_class_that_other_processes_cannot_import_is_told_so(check):
    class Local(broken.Sound):
        """Defined inside a function."""

    found = check([objectives.processes_agree], Local)
    assert "cannot be imported" in found["processes_agree"]
