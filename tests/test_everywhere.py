"""Any objective trains in any domain: two steps of each on a few images of the domain's demo.

Each objective in one domain, the next objective in the next domain; the others are slow.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest

from ssl_kit import UsageError
from ssl_kit.core.discovery import datasets, domains, objectives
from ssl_kit.core.index import LabelSource
from ssl_kit.data import earlier
from ssl_kit.data.opening import DataConfig, open_dataset
from ssl_kit.nn.weights import create_encoder
from ssl_kit.training.loop import train
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.setup import build, resolve

IMAGES, BATCH, SIZE = 16, 8, 32
ENCODERS = ("test_resnet", "test_vit")
PAIRS = [
    pytest.param(d, o, id=f"{d}-{o}", marks=[pytest.mark.slow] if (i + j) % len(domains) else [])
    for i, d in enumerate(domains)
    for j, o in enumerate(objectives)
]


@cache
def few(domain):
    """Opens a domain's demo once in a process, and cuts it down to its first images."""
    demo = open_dataset(domains[domain], DataConfig())
    columns = ("keys", "labels", "groups", "splits", "positions")
    demo.index = replace(demo.index, **{c: getattr(demo.index, c)[:IMAGES] for c in columns})
    demo.read = cache(demo.read)
    return demo


@cache
def smallest(needs):
    """Names a small encoder that has what an objective needs."""
    return next(n for n in ENCODERS if needs <= create_encoder(n, 3, SIZE).provides)


@pytest.mark.parametrize(("domain", "objective"), PAIRS)
def test_trains(domain, objective, tmp_path, monkeypatch):
    monkeypatch.setattr(earlier, "open_dataset", lambda *_: few(domain))
    kind = objectives[objective]
    narrow = {
        name: 64
        for name in ("hidden_dim", "out_dim", "decoder_dim")
        if name in kind.Config.model_fields
    }
    settings = {
        "domain": domain,
        "data": {"holdout": 0},
        "encoder": {"name": smallest(kind.needs), "image_size": SIZE},
        "objective": {"name": objective, **narrow, **kind.example},
        "train": {"epochs": 1, "batch_size": BATCH, "workers": 0, "precision": "fp32"},
    }
    try:
        config = resolve(settings)
        parts = build(config)
        run = Run.create(tmp_path / "run", config)
        train(run, parts, Progress(quiet=True))
    except UsageError as error:
        if objective in domains[domain].objectives:
            raise
        pytest.skip(str(error))
    last = run.lines(run.metrics)[-1]
    assert last["step"] == IMAGES // BATCH
    assert math.isfinite(last["loss"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in datasets if n not in ("arrays", "hf", "torchvision")])
def test_a_layout_is_followed_by_every_reader(name, tmp_path):
    """Not by those whose example is a stack or a set with labels of its own."""
    for folder in ("p1/cat", "p1/dog", "p2/cat", "p2/dog"):
        (tmp_path / folder).mkdir(parents=True)
        if datasets[name].example(tmp_path / folder) is None and not any(tmp_path.rglob("*.*")):
            pytest.skip("it opens no files")
    source = LabelSource(layout="{group}/{label}/*")
    index = datasets[name].open(tmp_path, datasets[name].Config(), source).index
    for i in range(len(index)):
        assert index.key(i).startswith(f"{index.group(i)}/{index.label(i)}/")
