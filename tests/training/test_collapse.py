"""The verdicts by hand, then canaries: small trainings that do or do not collapse."""

import contextlib
import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from ssl_kit import Encoder, Objective, Output, View
from ssl_kit.data.loader import ViewDataset
from ssl_kit.data.standardize import Standardize, to_batch
from ssl_kit.data.views import Renderer
from ssl_kit.nn import mlp
from ssl_kit.plugins.domains.natural import NATURAL
from ssl_kit.plugins.objectives.byol import BYOL
from ssl_kit.plugins.objectives.simclr import SimCLR
from ssl_kit.plugins.objectives.vicreg import VICReg
from ssl_kit.training.collapse import VIEWS, Watch, WatchState, cure, verdict
from ssl_kit.training.representation import representation_metrics

SIZE, WIDTH = 16, 64
HEALTHY = {
    "feature_std": 0.7,
    "rankme_centered": 30.0,
    "alpha_req": 1.5,
    "alpha_req_r2": 0.99,
    "view_retrieval": 0.5,
    "projected_feature_std": 0.9,
}


class SmallEncoder(Encoder):
    """Three convolutions with batch normalization."""

    def __init__(self):
        super().__init__("small", 3, SIZE)
        layers = []
        for i, o in ((3, 16), (16, 32), (32, WIDTH)):
            layers += [nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.num_features = WIDTH

    def forward(self, x):
        return self.body(x)


class NoStopGradient(Objective):
    """SimSiam (https://arxiv.org/abs/2011.10566) without the stop-gradient it needs."""

    paper = "https://arxiv.org/abs/2011.10566"
    last_norm = False

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, 64, 64, last_norm=self.last_norm)
        self.predictor = mlp(64, 16, 64)

    @classmethod
    def views(cls, config, size):
        return (View(size), View(size))

    def project(self, features):
        return self.projector(features)

    def forward(self, batch, phase=0):
        z = self.project(self.encoder(torch.cat(batch.views)))
        (p1, p2), (z1, z2) = self.predictor(z).chunk(2), z.chunk(2)
        return Output(-(cosine_similarity(p1, z2) + cosine_similarity(p2, z1)).mean() / 2)


def textures():
    """256 images of stripes with a disc, each of its own colors."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] / 32
    for _ in range(256):
        (fx, fy), phase = rng.uniform(1, 6, 2), rng.uniform(0, 6, 3)
        wave = np.sin(6.28 * (fx * x + fy * y)[..., None] + phase)
        image = wave * rng.uniform(20, 50, 3) + rng.uniform(50, 205, 3)
        cx, cy, r = rng.uniform((0.2, 0.2, 0.1), (0.8, 0.8, 0.3))
        image[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = rng.uniform(0, 255, 3)
        yield (image + rng.normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8)


class Bench:
    """Renders a watch's pool and the batches once, and trains objectives on them."""

    def __init__(self, dataset, policy="default"):
        self.pool = np.arange(len(dataset))
        self.standardize = Standardize([0.5] * 3, [0.25] * 3, "cpu")
        self.view, self.dataset = View(SIZE, policy=policy), dataset

    @functools.cached_property
    def batches(self):
        """Three epochs."""
        pairs = self.views(2)
        return [
            to_batch(pairs[epoch, rows], self.dataset, self.standardize)
            for epoch in range(3)
            for rows in np.split(np.random.default_rng(epoch).permutation(self.pool), 4)
        ]

    def views(self, count):
        views = (self.view,) * count
        renderer = Renderer(NATURAL.policies, views, self.dataset.channels, 0)
        return ViewDataset(self.dataset, self.pool, renderer)

    def watch(self):
        return Watch(self.views(VIEWS), self.pool, self.standardize)

    def train(self, cls, steps=96, **options):
        """Returns a verdict for every 12 steps."""
        torch.manual_seed(0)
        objective, watch = cls(SmallEncoder(), cls.Config(**options)), self.watch()
        trained = [p for p in objective.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=5e-3)
        watch.judge(watch.look(objective, contextlib.nullcontext), None, WIDTH)
        verdicts, losses = [], []
        for step in range(1, steps + 1):
            loss = objective(self.batches[step % len(self.batches)]).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            objective.after_step(step, steps)
            losses.append(loss.item())
            if step % 12 == 0:
                measures = watch.look(objective, contextlib.nullcontext)
                verdicts.append(watch.judge(measures, np.mean(losses[-12:]), WIDTH))
        return verdicts


@functools.cache
def textured(dataset_class):
    return Bench(colored(dataset_class(list(textures()))))


@pytest.fixture
def bench(memory_dataset):
    """A bench of textures, made once."""
    return textured(memory_dataset)


def colored(dataset):
    """Names the channels so that the policy alters colors, too."""
    dataset.channels = ("red", "green", "blue")
    return dataset


def look(objective, watch):
    return watch.look(objective, contextlib.nullcontext)


def judge(state=None, loss=1.0, **changes):
    state = state or WatchState(dict(HEALTHY), best_rank=30.0, best_spread=0.9, first_loss=1.0)
    return verdict({**HEALTHY, **changes}, state, loss, WIDTH)


def test_no_change_is_ok():
    assert judge() == "OK"


@pytest.mark.parametrize("name", ["feature_std", "projected_feature_std"])
def test_equal_features_or_projections_twice_in_a_row_are_a_collapse(name):
    state = WatchState(dict(HEALTHY), best_rank=30.0, low=1)
    assert judge(state, **{name: 0.01}) == "COLLAPSED"
    assert judge(WatchState(dict(HEALTHY), low=0), **{name: 0.01}) != "COLLAPSED"


def test_a_single_direction_twice_in_a_row_is_a_collapse():
    state = WatchState(dict(HEALTHY), best_rank=30.0, low=1)
    assert judge(state, rankme_centered=1.1) == "COLLAPSED"


def test_an_encoder_that_starts_with_little_spread_has_not_collapsed():
    initial = {**HEALTHY, "feature_std": 0.03, "projected_feature_std": 0.02}
    state = WatchState(initial, best_rank=30.0, low=1)
    assert judge(state, feature_std=0.04, projected_feature_std=0.03) == "OK"


def test_a_loss_of_directions_while_the_loss_falls_is_dimensional():
    assert judge(rankme_centered=7.0, loss=0.5) == "DIMENSIONAL"
    assert judge(rankme_centered=8.0, loss=0.5) == "OK"
    assert judge(rankme_centered=7.0, loss=1.5) == "OK"


def test_directions_are_compared_with_the_most_there_ever_were():
    state = WatchState(dict(HEALTHY), best_rank=50.0, first_loss=1.0)
    assert judge(state, rankme_centered=12.0) == "DIMENSIONAL"


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha_req": 4.0},
        {"view_retrieval": 0.01},
        {"projected_feature_std": 0.4},
    ],
)
def test_what_may_be_wrong_is_suspect(changes):
    assert judge(**changes) == "SUSPECT"


def test_views_too_strong_to_be_found_from_the_start_are_no_sign():
    state = WatchState({**HEALTHY, "view_retrieval": 0.004}, best_rank=30.0)
    assert judge(state, view_retrieval=0.008) == "OK"


def test_a_steep_spectrum_counts_only_where_it_is_a_power_law():
    assert judge(alpha_req=4.0, alpha_req_r2=0.8) == "OK"


def test_objectives_without_projections_are_judged_by_their_features():
    measures = {k: v for k, v in HEALTHY.items() if not k.startswith("projected")}
    assert verdict(measures, WatchState(measures, best_rank=30.0), 1.0, WIDTH) == "OK"


def test_every_verdict_but_ok_has_a_cure():
    assert cure("OK") == ""
    assert all(cure(name) for name in ("SUSPECT", "DIMENSIONAL", "COLLAPSED"))


def test_state_survives_saving(bench):
    watch, other = bench.watch(), bench.watch()
    watch.judge(HEALTHY, None, WIDTH)
    for loss in (2.0, 1.0):
        watch.judge({**HEALTHY, "feature_std": 0.01}, loss, WIDTH)
    other.load_state_dict(watch.state_dict())
    assert other.state == watch.state
    assert other.state.low == 2


def test_looking_changes_nothing_in_the_training(bench):
    objective = BYOL(SmallEncoder(), BYOL.Config(hidden_dim=32, out_dim=16)).train()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    modes = [module.training for module in objective.modules()]
    random = torch.get_rng_state(), np.random.get_state()[1].tolist()
    look(objective, bench.watch())
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
    assert [module.training for module in objective.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random[0])
    assert np.random.get_state()[1].tolist() == random[1]
    assert all(p.grad is None for p in objective.parameters())


def test_looking_in_evaluation_mode_stays_in_it(bench):
    objective = SimCLR(SmallEncoder(), SimCLR.Config()).eval()
    look(objective, bench.watch())
    assert not objective.training


def test_looking_twice_gives_the_same_measures(bench):
    objective = SimCLR(SmallEncoder(), SimCLR.Config())
    assert look(objective, bench.watch()) == look(objective, bench.watch())


def test_features_and_projections_are_measured_apart(bench):
    measures = look(SimCLR(SmallEncoder(), SimCLR.Config()), bench.watch())
    features = {name for name in measures if not name.startswith("projected_")}
    assert {f"projected_{name}" for name in features} == set(measures) - features
    assert measures["rankme"] != measures["projected_rankme"]


def test_views_of_an_image_stay_together(bench):
    objective = SimCLR(SmallEncoder(), SimCLR.Config())
    measures = look(objective, bench.watch())
    with torch.no_grad():
        features = [
            objective.eval().encoder(bench.standardize(view))
            for view in bench.views(VIEWS)[0, bench.pool].views
        ]
    expected = representation_metrics(torch.stack(features, dim=1))
    assert {name: measures[name] for name in expected} == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("objective", "options"),
    [
        pytest.param(SimCLR, {}, marks=pytest.mark.slow),
        pytest.param(VICReg, {"hidden_dim": 64, "out_dim": 64}, marks=pytest.mark.slow),
        (BYOL, {"hidden_dim": 64, "out_dim": 64}),
    ],
)
def test_healthy_training_is_ok(bench, objective, options):
    assert set(bench.train(objective, **options)) == {"OK"}


def test_vicreg_without_variance_is_flagged(bench):
    assert bench.train(VICReg, hidden_dim=64, out_dim=64, variance=0)[-1] != "OK"


@pytest.mark.slow
def test_vicreg_without_variance_and_covariance_is_flagged(bench):
    assert bench.train(VICReg, hidden_dim=64, out_dim=64, variance=0, covariance=0)[-1] != "OK"


@pytest.mark.parametrize(
    ("last_norm", "steps"), [(False, 96), pytest.param(True, 192, marks=pytest.mark.slow)]
)
def test_simsiam_without_stop_gradient_is_flagged(bench, monkeypatch, last_norm, steps):
    # a norm on the projections, as in the paper, makes the collapse slow and uneven
    monkeypatch.setattr(NoStopGradient, "last_norm", last_norm)
    verdicts = bench.train(NoStopGradient, steps)
    late = verdicts[len(verdicts) // 2 :]
    assert late.count("OK") < len(late) / 2


@pytest.mark.parametrize("image", ["gray", "texture"])
@pytest.mark.parametrize("policy", ["weak", "default"])
def test_a_repeated_image_is_flagged(memory_dataset, image, policy):
    # the views of a texture differ, and in the default policy the colors of all views do
    rng, shape = np.random.default_rng(0), (32, 32, 3)
    pixels = np.full(shape, 128) if image == "gray" else rng.integers(0, 255, shape)
    dataset = colored(memory_dataset([pixels.astype(np.uint8)] * 256))
    watch = Bench(dataset, policy).watch()
    assert watch.judge(HEALTHY, None, WIDTH) == watch.judge(HEALTHY, 1.0, WIDTH) == "COLLAPSED"


def test_one_image_that_differs_is_no_repetition(memory_dataset):
    images = [np.full((32, 32, 3), 128, np.uint8)] * 255 + [np.zeros((32, 32, 3), np.uint8)]
    watch = Bench(colored(memory_dataset(images))).watch()
    assert watch.judge(HEALTHY, None, WIDTH) == "OK"
