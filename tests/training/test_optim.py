import copy
import math

import pytest
import torch
from torch import nn

from ssl_kit.nn import create_encoder, frozen_copy, mlp
from ssl_kit.nn.layers import layer_numbers
from ssl_kit.plugins.objectives.simclr import SimCLR, SimCLRConfig
from ssl_kit.plugins.objectives.spark import SparK, SparKConfig
from ssl_kit.training.optim import (
    learning_rate,
    make_optimizer,
    set_learning_rate,
    set_weight_decay,
    weight_decay,
)
from ssl_kit.training.settings import OptimizerConfig

OPTIMIZERS = ["adamw", "sgd", "lars"]


class Model(nn.Module):
    """A convolution, two kinds of norm, a head, a lone parameter and a teacher."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.LayerNorm(8)
        self.head = mlp(8, 4, 2)
        self.temperature = nn.Parameter(torch.ones(()))
        self.teacher = frozen_copy(self.conv)


def names_in(optimizer, model, group):
    members = {id(p) for p in group["params"]}
    return {name for name, p in model.named_parameters() if id(p) in members}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_biases_and_norms_have_no_weight_decay(name):
    model = Model()
    optimizer = make_optimizer(model, OptimizerConfig(name=name, weight_decay=0.1))
    decay = {g["weight_decay"]: names_in(optimizer, model, g) for g in optimizer.param_groups}
    assert decay[0.1] == {"conv.weight", "head.0.weight", "head.3.weight"}
    assert decay[0.0] == {
        "conv.bias", "norm.weight", "norm.bias", "head.1.weight", "head.1.bias", "head.3.bias",
        "temperature",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["sgd", "lars"])
def test_momentum_may_be_off(name):
    model = nn.Linear(2, 1)
    optimizer = make_optimizer(model, OptimizerConfig(name=name, momentum=0.0))
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not optimizer.defaults["nesterov"]


def test_sgd_has_nesterov_momentum():
    optimizer = make_optimizer(Model(), OptimizerConfig(name="sgd", momentum=0.5))
    assert (optimizer.defaults["nesterov"], optimizer.defaults["momentum"]) == (True, 0.5)


def test_what_timm_and_objectives_name_has_no_weight_decay():
    vit = nn.ModuleDict({"encoder": create_encoder("test_vit", 3, 32)})
    body = vit["encoder"].body
    kept = make_optimizer(vit, OptimizerConfig()).param_groups[0]["params"]
    assert {id(body.cls_token), id(body.pos_embed)} <= {id(p) for p in kept}
    spark = SparK(create_encoder("test_resnet", 3, 64), SparKConfig(decoder_dim=32))
    decayed = make_optimizer(spark, OptimizerConfig()).param_groups[1]["params"]
    assert not {id(p) for p in spark.fillers} & {id(p) for p in decayed}


@pytest.mark.parametrize(("first", "last"), [(0.04, 0.4), (0.0, 0.1), (0.1, 0.0)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scheduled_weight_decay_leaves_biases_and_norms_alone(name, first, last):
    model, config = Model(), OptimizerConfig(name=name, weight_decay=first, weight_decay_end=last)
    optimizer = make_optimizer(model, config)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, first]
    optimizer.load_state_dict(optimizer.state_dict())
    set_weight_decay(optimizer, weight_decay(10, 10, config))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, last]


def test_weight_decay_follows_a_half_cosine_or_is_constant():
    config = OptimizerConfig(weight_decay=0.04, weight_decay_end=0.4)
    values = [weight_decay(step, 4, config) for step in range(5)]
    slow = [0.4 + 0.5 * (0.04 - 0.4) * (1 + math.cos(math.pi * i / 4)) for i in range(5)]
    assert values == pytest.approx(slow)
    assert {weight_decay(step, 4, OptimizerConfig()) for step in range(5)} == {0.05}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_trained_parameter_is_there_once_and_no_teacher(name, decay):
    model = Model()
    optimizer = make_optimizer(model, OptimizerConfig(name=name, weight_decay=decay))
    known = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(known) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_lowers_a_loss_and_leaves_the_teacher(name):
    torch.manual_seed(0)
    model, x = Model(), torch.randn(4, 3, 3, 3)
    before = model.teacher.weight.clone()
    optimizer = make_optimizer(model, OptimizerConfig(name=name, lr=0.01))
    losses = []
    for _ in range(3):
        losses.append(model.conv(x).square().mean())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert torch.equal(model.teacher.weight, before)


@pytest.mark.parametrize("name", ["sgd", "lars"])
def test_momentum_is_the_configured_one(name):
    optimizer = make_optimizer(Model(), OptimizerConfig(name=name, momentum=0.5))
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_learning_rates_decay_by_layer_and_heads_have_the_whole(name):
    model = SimCLR(create_encoder(name, 3, 32), SimCLRConfig())
    optimizer = make_optimizer(model, OptimizerConfig(layer_decay=0.5))
    scales = {
        id(p): (group["lr_scale"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    numbers, plain = layer_numbers(model.encoder.body), make_optimizer(model, OptimizerConfig())
    decays = {id(p): g["weight_decay"] for g in plain.param_groups for p in g["params"]}
    for key, parameter in model.named_parameters():
        number = numbers.get(key.removeprefix("encoder.body."), numbers["head.weight"])
        scale = 0.5 ** (numbers["head.weight"] - number)
        assert scales[id(parameter)] == (scale, decays[id(parameter)])
    assert min(scale for scale, _ in scales.values()) < 0.2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_anchor_pulls_the_encoder_to_its_start_after_each_step(name):
    """p -= lr alpha (p - start), after the step that the optimizer takes without an anchor."""
    torch.manual_seed(0)
    anchored = SimCLR(create_encoder("test_resnet", 3, 32), SimCLRConfig())
    free = copy.deepcopy(anchored)
    start = {key: p.detach().clone() for key, p in anchored.encoder.body.named_parameters()}
    config = OptimizerConfig(name=name, lr=0.01)
    optimizers = [
        make_optimizer(anchored, config.model_copy(update={"anchor": 20.0})),
        make_optimizer(free, config),
    ]
    for step in range(3):
        for model, optimizer in zip((anchored, free), optimizers, strict=True):
            for key, p in model.named_parameters():
                p.grad = torch.full_like(p, 0.1 * step + len(key))
            set_learning_rate(optimizer, 0.01 / (step + 1))
            optimizer.step()
        with torch.no_grad():
            for key, p in free.encoder.body.named_parameters():
                p -= 0.01 / (step + 1) * 20.0 * (p - start[key])
    for p, q in zip(anchored.parameters(), free.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_warm_up_is_linear_and_ends_at_the_peak():
    config = OptimizerConfig(lr=1.0, warmup=0.1)
    rates = [learning_rate(step, 40, config, 256) for step in range(5)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_cosine_is_at_half_the_peak_half_way_and_ends_at_zero():
    config = OptimizerConfig(lr=2.0, warmup=0.0)
    rates = [learning_rate(step, 8, config, 256) for step in (0, 2, 4, 6, 8)]
    quarter = 1 + math.cos(math.pi / 4)
    assert rates == pytest.approx([2.0, quarter, 1.0, 2 - quarter, 0.0])


def test_cosine_ends_at_the_final_share_of_the_peak_and_stays_there():
    config = OptimizerConfig(lr=1.0, warmup=0.0, final_lr=0.1)
    assert learning_rate(5, 10, config, 256) == pytest.approx(0.55)
    assert learning_rate(10, 10, config, 256) == pytest.approx(0.1)
    assert learning_rate(99, 10, config, 256) == pytest.approx(0.1)


def test_rate_is_scaled_by_the_batch():
    config = OptimizerConfig(lr=1.0, warmup=0.0)
    assert learning_rate(0, 10, config, 64) == pytest.approx(0.25)
    assert learning_rate(0, 10, config, 1024) == pytest.approx(4.0)


@pytest.mark.parametrize(("scaling", "rates"), [("sqrt", [0.5, 2.0]), ("none", [1.0, 1.0])])
def test_rate_can_be_scaled_by_the_root_of_the_batch_or_not_at_all(scaling, rates):
    config = OptimizerConfig(lr=1.0, warmup=0.0, scaling=scaling)
    assert [learning_rate(0, 10, config, images) for images in (64, 1024)] == rates


@pytest.mark.parametrize("steps", [1, 2, 3, 1000])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.9])
def test_rate_is_positive_and_rises_then_falls_for_any_length(steps, warmup):
    config = OptimizerConfig(lr=1.0, warmup=warmup)
    rates = [learning_rate(step, steps, config, 256) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_setting_the_rate_keeps_a_groups_own_scale():
    groups = [{"params": [nn.Parameter(torch.ones(1))]}, {"params": [nn.Parameter(torch.ones(1))]}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    optimizer.param_groups[1]["lr_scale"] = 0.5
    set_learning_rate(optimizer, 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.1]
