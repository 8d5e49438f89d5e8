import json
import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, RunError, TrainingInfo, UnknownNameError, UsageError
from ssl_kit.evaluation.pretrained import from_run
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.distillation import (
    Distillation,
    DistillationConfig,
    hint_loss,
    load_teacher,
)

NATIVE = TrainingInfo(100, 10, (0.3, 0.4, 0.5), (0.1, 0.2, 0.3))


def make(channels=3, size=32, **options):
    torch.manual_seed(0)
    chosen = options or dict(Distillation.example)
    encoder = create_encoder("test_resnet", channels, size)
    return Distillation(encoder, DistillationConfig(**chosen))


def make_batch(channels=3, size=32):
    torch.manual_seed(1)
    none = torch.zeros(6, dtype=torch.long)
    return Batch((torch.randn(6, channels, size, size),), none, none, none[:, None], ())


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 7, 4, dtype=torch.float64).unbind()


@pytest.fixture
def weights(real_data):
    path = real_data.parent / "weights" / "tf_efficientnet_lite0.imagenet.safetensors"
    if not path.is_file():
        pytest.skip(f"no weights at {path}")
    return path


def slow_hint_loss(predicted, hint):
    """FitNets eq. 3 with loops, of standardized hints, as a mean."""
    n, total = len(hint), 0.0
    for p, column in zip(predicted.T.tolist(), hint.T.tolist(), strict=True):
        mean = sum(column) / n
        variance = sum((v - mean) ** 2 for v in column) / n
        standard = [(v - mean) / math.sqrt(variance + 1e-8) for v in column]
        total += sum((a - b) ** 2 for a, b in zip(p, standard, strict=True))
    return total / predicted.numel()


def test_loss_agrees_with_equation_3(pair):
    assert hint_loss(*pair).item() == pytest.approx(slow_hint_loss(*pair), abs=1e-9)


def test_loss_of_the_mean_is_one_and_of_the_hint_is_zero(pair):
    hint = pair[1]
    assert hint_loss(torch.zeros_like(hint), hint).item() == pytest.approx(1, abs=1e-6)
    standard = (hint - hint.mean(0)) / hint.std(0, correction=0)
    assert hint_loss(standard, hint).item() == pytest.approx(0, abs=1e-6)


def test_scale_and_shift_of_the_hint_do_not_matter(pair):
    predicted, hint = pair
    gain = torch.tensor([0.5, 3.0, 10.0, 100.0])
    torch.testing.assert_close(
        hint_loss(predicted, gain * hint + 7), hint_loss(predicted, hint), rtol=1e-6, atol=0
    )


def test_a_dead_dimension_of_the_hint_asks_for_zero():
    assert hint_loss(torch.full((4, 2), 3.0), torch.full((4, 2), 5.0)).item() == 9


def test_images_may_be_permuted_together_but_not_apart(pair):
    (predicted, hint), order = pair, torch.tensor([6, 3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(hint_loss(predicted[order], hint[order]), hint_loss(*pair))
    assert not torch.isclose(hint_loss(predicted[order], hint), hint_loss(*pair))


def test_gradient_is_that_of_the_loss(pair):
    predicted, hint = pair
    assert gradcheck(lambda p: hint_loss(p, hint), (predicted.requires_grad_(),))


def test_the_teacher_takes_no_gradient_and_stays_in_evaluation_mode():
    objective = make()
    before = {k: v.clone() for k, v in objective.teacher.state_dict().items()}
    objective.train()(make_batch()).loss.backward()
    assert objective.training
    assert not any(module.training for module in objective.teacher.modules())
    assert all(p.grad is None for p in objective.teacher.parameters())
    assert all(torch.equal(before[k], v) for k, v in objective.teacher.state_dict().items())


def test_skill_is_the_explained_share():
    output = make()(make_batch())
    torch.testing.assert_close(output.metrics["skill"], 1 - output.loss.detach())


def test_a_teacher_without_statistics_takes_the_views_as_they_are():
    objective = make()
    objective.prepare(NATIVE)
    assert objective.scaling.flatten(1).tolist() == [[1, 1, 1], [0, 0, 0]]


def test_a_teacher_gets_the_views_as_it_expects_them():
    objective, seen = make(), []
    objective._expected = ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    objective.prepare(NATIVE)
    objective.teacher.forward = lambda x: seen.append(x) or torch.randn(len(x), 4)
    unit = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(v)[:, None, None] for v in (NATIVE.mean, NATIVE.std))
    objective._hint((unit - mean) / std)
    m, s = (torch.tensor(v)[:, None, None] for v in objective._expected)
    torch.testing.assert_close(seen[0], (unit - m) / s)


def test_a_teacher_of_rgb_sees_gray_through_its_mean_statistics():
    objective = make(channels=1)
    objective._expected = ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    objective.prepare(TrainingInfo(100, 10, (0.3,), (0.1,)))
    assert objective.scaling.flatten().tolist() == pytest.approx([0.1 / 0.5, (0.3 - 0.2) / 0.5])


@pytest.mark.parametrize(("shape", "expected"), [((32, 32), (48, 48)), ((1, 32), (1, 48))])
def test_the_teacher_may_see_another_size(shape, expected):
    objective, seen = make(teacher="test_resnet", weights="scratch", image_size=48), []
    objective.teacher.forward = lambda x: seen.append(x.shape[2:]) or torch.randn(len(x), 4)
    objective._hint(torch.randn(2, 3, *shape))
    assert seen == [expected]


def test_a_run_teaches(finished_run):
    objective = make(weights=str(finished_run.folder), size=48)
    model = from_run(finished_run)
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, objective.teacher.state_dict()[name]), name
    assert objective._expected == (model.statistics.mean, model.statistics.std)
    assert objective.teacher.image_size == model.image_size == 32
    assert objective(make_batch(size=48)).loss.isfinite()


@pytest.mark.parametrize("file", ["encoder.safetensors", "checkpoints/best.safetensors"])
def test_a_file_of_a_run_is_as_good_as_the_run(finished_run, file):
    config = DistillationConfig(weights=str(finished_run.folder / file))
    teacher, expected = load_teacher(config, 3, 64)
    facts = finished_run.read_json("encoder.json")
    assert expected == (facts["mean"], facts["std"])
    assert (teacher.name, teacher.image_size) == ("test_resnet", 32)


def test_bands_of_a_run_stay_in_their_order(finished_run, tmp_path):
    for name in ("encoder.safetensors", "encoder.json"):
        (tmp_path / name).write_bytes((finished_run.folder / name).read_bytes())
    facts = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps({**facts, "channels": ["vv", "vh", "dem"]}))
    from safetensors.torch import load_file, save_file

    state = load_file(tmp_path / "encoder.safetensors")
    save_file(state, tmp_path / "encoder.safetensors", {"channels": "vv,vh,dem"})
    teacher, _ = load_teacher(DistillationConfig(weights=str(tmp_path)), 3, 32)
    key = teacher.first_layer
    assert torch.equal(teacher.body.state_dict()[key], state[key])


def test_the_path_of_a_teacher_is_kept_whole(finished_run, monkeypatch):
    monkeypatch.chdir(finished_run.folder.parent)
    config = DistillationConfig(weights=finished_run.folder.name)
    assert config.weights == str(finished_run.folder.resolve())
    assert DistillationConfig(weights="scratch").weights == "scratch"


@pytest.mark.parametrize("options", [{}, {"teacher": "resnet18", "weights": "/no/such/file"}])
def test_a_missing_teacher_is_said_in_one_line(options):
    with pytest.raises(UsageError, match=r"^There is no teacher .* Set objective.teacher to") as e:
        load_teacher(DistillationConfig(**options), 3, 32)
    assert "\n" not in str(e.value)


def test_a_folder_that_is_no_run_is_no_teacher(tmp_path):
    with pytest.raises(UsageError, match="There is no teacher"):
        load_teacher(DistillationConfig(weights=str(tmp_path)), 3, 32)


def test_an_unknown_architecture_is_named():
    with pytest.raises(UnknownNameError, match="resnet81"):
        load_teacher(DistillationConfig(teacher="resnet81", weights="scratch"), 3, 32)


def test_imagenet_weights_teach(weights):
    objective = make(teacher="tf_efficientnet_lite0", weights=str(weights), size=64)
    objective.prepare(NATIVE)
    expected = objective.teacher.pretrained_statistics
    gain = [s / t for s, t in zip(NATIVE.std, expected[1], strict=True)]
    assert objective.scaling[0].flatten().tolist() == pytest.approx(gain)
    loss = objective(make_batch(size=64)).loss
    assert loss.isfinite()
    assert objective.teacher.num_features == objective.projector.out_features == 1280


def test_weights_of_another_architecture_are_refused(weights):
    with pytest.raises(RunError, match="does not fit"):
        make(teacher="resnet18", weights=str(weights))
