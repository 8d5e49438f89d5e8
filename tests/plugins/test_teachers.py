"""How fast each teacher follows its student; `teacher_follows` of the kit checks the rest."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ssl_kit.core.discovery import objectives
from ssl_kit.nn import Teacher, cosine_momentum
from ssl_kit.testing.toy import build

CONSTANT = {"moco", "densecl", "ressl"}
LINEAR = {"ijepa"}
COSINE = {"byol", "data2vec", "dino", "moco_v3", "smog", "tico"}


def has_a_teacher(name):
    return "Teacher" in vars(__import__(objectives[name].__module__, fromlist=["_"]))


def test_every_objective_with_a_teacher_is_listed():
    names = {name for name in objectives if objectives.entry(name).origin == "ssl-kit"}
    assert {name for name in names if has_a_teacher(name)} == CONSTANT | LINEAR | COSINE


@pytest.mark.parametrize("name", sorted(CONSTANT | LINEAR | COSINE))
def test_momentum_follows_its_schedule(name, monkeypatch):
    momenta = []
    monkeypatch.setattr(Teacher, "update", lambda *_, momentum: momenta.append(momentum))
    objective = build(objectives[name])
    start = objective.config.momentum
    expected = cosine_momentum(30, 100, start) if name in COSINE else start
    objective.after_step(30, 100)
    assert momenta == [pytest.approx(start + (1 - start) * 0.3 if name in LINEAR else expected)]


def test_batch_normalization_of_a_teacher_has_the_statistics_of_the_batch():
    objective = build(objectives["byol"]).train()
    layers = [m for m in objective.teacher.modules() if isinstance(m, _BatchNorm)]
    assert layers
    assert all(layer.training for layer in layers)
    x = torch.randn(8, 3, 32, 32)
    z = objective.teacher(x)
    assert not torch.allclose(z[:4], objective.teacher(x[:4]))
