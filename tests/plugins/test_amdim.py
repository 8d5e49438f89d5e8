"""The loss agrees with the authors' code, too:
https://github.com/Philip-Bachman/amdim-public (`costs.py`, `NCE_MI_MULTI`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, View
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.amdim import AMDIM, AMDIMConfig, _local, nce, scores, two_levels


def make(name="test_resnet", **options):
    torch.manual_seed(0)
    encoder = create_encoder(name, 3, 64)
    return AMDIM(encoder, AMDIMConfig(**{"hidden_dim": 32, "out_dim": 16, **options})).double()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    none = torch.zeros(4, dtype=torch.long)
    views = image, image + 0.1 * torch.randn_like(image)
    return Batch(views, none, none, none[:, None], ())


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 6, 5, dtype=torch.float64)


def slow_scores(f, places):
    """phi(f)^T phi(f') / sqrt(length), with loops."""
    return [
        [
            [
                sum(a * b for a, b in zip(row, place, strict=True)) / math.sqrt(len(row))
                for place in image
            ]
            for image in places.tolist()
        ]
        for row in f.tolist()
    ]


def slow_nce(raw, clip):
    """Eq. 2 with loops: -s+ + log(exp(s+) + sum of exp(s-)), s = c tanh(score / c)."""
    losses = []
    for i, row in enumerate(raw):
        s = [[clip * math.tanh(score / clip) for score in image] for image in row]
        negative = sum(math.exp(v) for j, image in enumerate(s) if j != i for v in image)
        losses += [-v + math.log(math.exp(v) + negative) for v in s[i]]
    return sum(losses) / len(losses)


def test_scores_are_scaled_inner_products(features):
    expected = torch.tensor(slow_scores(*features), dtype=torch.float64)
    torch.testing.assert_close(scores(*features), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("clip", [0.5, 20.0])
def test_nce_agrees_with_equation_2(features, clip):
    found = nce(scores(*features), clip).item()
    assert found == pytest.approx(slow_nce(slow_scores(*features), clip), abs=1e-9)


def test_nce_of_equal_scores_is_that_of_guessing():
    # a place of its own against 2 places of each of 2 other images
    assert nce(torch.zeros(3, 3, 2), 20.0).item() == pytest.approx(math.log(5), abs=1e-6)


def test_other_local_of_the_same_image_are_no_negatives():
    own = torch.eye(3, dtype=torch.float64)[..., None] * torch.tensor([0.0, 5.0])
    few = nce(own[..., :1], 20.0)  # places of score 0
    many = nce(own, 20.0)
    certain = math.log(math.exp(20 * math.tanh(0.25)) + 4) - 20 * math.tanh(0.25)
    guess = math.log(5)  # the place of score 0 against 2 places of 2 images
    assert many.item() == pytest.approx((guess + certain) / 2, abs=1e-9)
    assert few.item() == pytest.approx(math.log(3), abs=1e-9)


def test_large_scores_are_clipped():
    sure = 1e6 * torch.eye(3)[..., None]
    assert nce(sure, 2.0).item() == pytest.approx(math.log(math.exp(2) + 2) - 2, abs=1e-6)


def test_images_may_be_permuted_together_but_not_apart(features):
    (f, places), order = features, torch.tensor([2, 0, 3, 1])
    loss = nce(scores(f, places), 20.0)
    torch.testing.assert_close(nce(scores(f[order], places[order]), 20.0), loss)
    torch.testing.assert_close(nce(scores(f, places[:, [4, 1, 0, 2, 5, 3]]), 20.0), loss)
    assert not torch.isclose(nce(scores(f[order], places), 20.0), loss)


def test_gradient_is_that_of_the_loss(features):
    f, places = (x.requires_grad_() for x in features)
    assert gradcheck(lambda f, places: nce(scores(f, places), 3.0), (f, places))


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([32, 16, 8, 4, 2], (2, 3)),  # ResNet at 64 pixels
        ([16, 8, 4, 2, 1], (1, 2)),
        ([112, 56, 28, 14, 7], (3, 4)),
        ([14, 14, 14, 14], (2, 3)),  # ViT: the deepest
        ([9], (0, 0)),
    ],
)
def test_the_two_levels_are_those_nearest_7_and_5(sides, expected):
    assert two_levels([(8, side, side) for side in sides]) == expected


def test_larger_levels_are_pooled_to_7():
    level = torch.randn(2, 3, 14, 14)
    found = _local(level, torch.nn.Identity())
    assert found.shape == (2, 49, 3)
    torch.testing.assert_close(found[1, 8], level[1, :, 2:4, 2:4].mean(dim=(1, 2)))
    assert _local(level[..., :1, :], torch.nn.Identity()).shape == (2, 7, 3)


def test_loss_is_the_sum_of_the_terms_and_the_penalty(batch, monkeypatch):
    objective = make(clip=3.0, penalty=0.1)
    drawn = torch.full((4, 2), 0.5, dtype=torch.float64)
    name = "ssl_kit.plugins.objectives.amdim.rand_per_sample"
    monkeypatch.setattr(name, lambda *shape, like: drawn)
    pooled, levels = objective.encoder.forward_features(torch.cat(batch.views))
    fine, coarse = (levels[i] for i in objective.chosen)
    f1 = objective.project(pooled).chunk(2)
    f7 = _local(fine, objective.embed_fine).chunk(2)
    f5 = _local(coarse, objective.embed_coarse).chunk(2)
    middle = [f[:, f.shape[1] // 2] for f in f5]
    expected = 0.0
    for source, target in ((f1, f5), (f1, f7), (middle, f5)):
        for v in (0, 1):
            raw = slow_scores(source[v], target[1 - v])
            flat = [s for row in raw for image in row for s in image]
            expected += slow_nce(raw, 3.0) / 2 + 0.1 * sum(s * s for s in flat) / len(flat) / 2
    assert objective(batch).loss.item() == pytest.approx(expected, rel=1e-9)


def test_metrics_sum_to_the_loss(batch):
    output = make()(batch)
    assert set(output.metrics) == {"nce_1_to_5", "nce_1_to_7", "nce_5_to_5", "penalty"}
    torch.testing.assert_close(sum(output.metrics.values()), output.loss.detach())


def test_works_on_the_blocks_of_a_vit(batch):
    objective = make("test_vit")
    assert objective.chosen[0] < objective.chosen[1]
    assert objective(batch).loss.isfinite()


def test_asks_for_two_views_of_the_authors_scale():
    assert AMDIM.views(AMDIMConfig(), 64) == (View(64, scale=(0.3, 1.0)),) * 2
