from dataclasses import replace

import pytest
import torch

from ssl_kit import Batch, TrainingInfo, UnknownNameError, UsageError
from ssl_kit.nn import objectives
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.combination import Combination, CombinationConfig
from ssl_kit.plugins.objectives.rotation import Rotation
from ssl_kit.plugins.objectives.simclr import SimCLR, SimCLRConfig
from ssl_kit.training.layers import parse_set
from ssl_kit.training.progress import Progress
from ssl_kit.training.setup import resolve
from ssl_kit.training.start import start

WEIGHTS = {"simclr": 1, "rotation": 0.5}
SMALL = {"hidden_dim": 32, "out_dim": 16}
TWO = {"simclr": {"weight": 2.0, **SMALL}, "rotation": {"weight": 0.5}}


def make(parts, size=32, name="test_resnet"):
    torch.manual_seed(0)
    return Combination(create_encoder(name, 3, size), CombinationConfig(parts=parts))


def make_batch(objective, size=32):
    torch.manual_seed(1)
    none = torch.zeros(4, dtype=torch.long)
    requests = objective.views(objective.config, size)
    views = tuple(torch.randn(4, 3, view.size, view.size) for view in requests)
    frames = tuple(torch.randn(4, 2 if view.locate else 0, 3) for view in requests)
    return Batch(views, none, none, none[:, None], (), frames)


def test_loss_is_the_weighted_sum_of_the_parts():
    objective = make(TWO)
    batch = make_batch(objective)
    one = Batch(batch.views[:2], batch.indices, batch.groups, batch.positions, ())
    other = Batch(batch.views[2:], batch.indices, batch.groups, batch.positions, ())
    parts = objective.parts["simclr"](one).loss, objective.parts["rotation"](other).loss
    torch.testing.assert_close(objective(batch).loss, 2 * parts[0] + 0.5 * parts[1])


def test_views_are_those_of_the_parts_one_after_the_other():
    config = CombinationConfig(parts=TWO)
    alone = SimCLR.views(SimCLRConfig(), 48) + Rotation.views(Rotation.Config(), 48)
    assert Combination.views(config, 48) == alone


def test_each_part_gets_its_own_views_and_frames():
    objective = make(
        {"rotation": {}, "vicregl": {"hidden_dim": 16, "out_dim": 8, "local_dim": 8}}, size=64
    )
    batch = make_batch(objective, 64)
    shares = {name: own for name, _, own in objective._shares(batch)}
    assert shares["rotation"].views[0] is batch.views[0]
    assert shares["vicregl"].views[1] is batch.views[2]
    assert [frame.shape[1] for frame in shares["vicregl"].frames] == [2, 2]
    assert objective(batch).loss.isfinite()


def test_a_part_whose_first_view_shows_the_partner_gets_its_positions():
    objective = make({"rotation": {}, "simclr": SMALL})
    batch = make_batch(objective)
    batch = replace(batch, partner_positions=batch.positions + 1)
    shares = {name: own for name, _, own in objective._shares(batch)}
    assert shares["rotation"].positions is batch.positions
    assert shares["simclr"].positions is batch.partner_positions
    assert shares["simclr"].partner_positions is batch.positions


def test_parts_share_the_encoder():
    objective = make(TWO)
    assert all(part.encoder is objective.encoder for part in objective.parts.values())
    names = [name for name, _ in objective.named_parameters() if ".encoder." in name]
    assert names == []  # each weight is trained once


def test_metrics_bear_the_names_of_the_parts():
    objective = make(TWO)
    output = objective(make_batch(objective))
    assert set(output.metrics) == {"simclr_loss", "rotation_loss", "rotation_rotation_accuracy"}
    assert not any(metric.requires_grad for metric in output.metrics.values())


def test_a_weight_is_one_if_left_out():
    config = CombinationConfig(parts={"rotation": {}})
    assert config.parts == {"rotation": {"weight": 1.0}}


def test_no_objective_has_an_option_with_the_name_of_the_weight():
    names = [name for name in objectives if "weight" in objectives[name].Config.model_fields]
    assert names == []


def test_the_configuration_is_resolved_once_and_for_all():
    config = CombinationConfig(parts={"simclr": {"temperature": 0.3}})
    own = SimCLRConfig(temperature=0.3).model_dump()
    assert config.parts == {"simclr": {**own, "weight": 1.0}}
    assert CombinationConfig(parts=config.parts) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temprature": 0.2}, r"Unknown key 'objective.parts.simclr.temprature'. Did you mean 'te"),
        ({"temperature": -1}, r"Wrong value for 'objective.parts.simclr.temperature'"),
        ({"weight": 0}, r"Wrong value for 'objective.parts.simclr.weight'"),
    ],
)
def test_a_wrong_option_is_named_with_its_part(options, message):
    with pytest.raises(UsageError, match=message):
        CombinationConfig(parts={"simclr": options})


def test_an_unknown_part_is_named():
    with pytest.raises(UnknownNameError, match=r"Unknown objective 'simclear'. Did you mean 'sim"):
        CombinationConfig(parts={"simclear": {}})


def test_nothing_to_combine_is_said():
    with pytest.raises(UsageError, match="Which objectives are to be combined"):
        make({})


def test_a_part_that_needs_more_than_the_encoder_has_is_named():
    with pytest.raises(UsageError, match="'mae' needs an encoder with tokens"):
        make({"mae": {}})


def test_parts_are_prepared():
    objective, told = make(TWO), []
    objective.parts["rotation"].prepare = told.append
    training = TrainingInfo(10, 2, (0.5,) * 3, (0.2,) * 3)
    objective.prepare(training)
    assert told == [training]


def test_projections_are_those_of_the_first_part_that_has_any():
    objective = make({"rotation": {}, "simclr": SMALL}).eval()
    features = torch.randn(4, objective.encoder.num_features)
    expected = objective.parts["simclr"].project(features)
    assert torch.equal(objective.project(features), expected)
    assert make({"rotation": {}}).project(features) is None


def test_a_part_with_fewer_phases_rests():
    objective = make(TWO)
    objective.parts["rotation"].phases = 2
    batch = make_batch(objective)
    assert set(objective(batch, 1).metrics) == {"rotation_loss", "rotation_rotation_accuracy"}


def test_settings_from_the_command_line_reach_the_parts():
    asked = {"name": "combination", "parts": {"simclr": {"weight": 2}, "rotation": {}}}
    config = resolve({"domain": "natural", "objective": asked})
    parts = config.objective.options["parts"]
    assert (parts["simclr"]["weight"], parts["simclr"]["temperature"]) == (2.0, 0.2)
    assert "[objective.parts.simclr]" in config.to_toml()


def test_trains_from_the_settings_of_the_command_line(tiny, tmp_path):
    parts = [parse_set(f"objective.parts.{part}.weight={w}") for part, w in WEIGHTS.items()]
    layers = [tiny, {"objective": "combination"}, *parts]
    run, _ = start(layers, tmp_path / "run", Progress(quiet=True))
    last = run.lines(run.metrics)[-1]
    total = sum(weight * last[f"{part}_loss"] for part, weight in WEIGHTS.items())
    assert last["loss"] == pytest.approx(total, rel=1e-5)
    assert run.config.objective.options["parts"]["rotation"] == {"weight": 0.5}


def test_teachers_of_the_parts_move():
    objective = make({"byol": {"weight": 1.0, "momentum": 0.5, **SMALL}})
    teacher = objective.parts["byol"].teacher.projector[0].weight
    before = teacher.clone()
    with torch.no_grad():
        objective.parts["byol"].projector[0].weight += 1
    objective.after_step(1, 10**9)
    torch.testing.assert_close(teacher, before + 0.5)
