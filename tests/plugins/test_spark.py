"""What is hidden is hidden as in the authors' code: https://github.com/keyu-tian/SparK
(`pretrain/encoder.py`); masks are theirs at 224 pixels."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn import random_mask, upsample_mask, visible_only
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.mae import reconstruction_loss
from ssl_kit.plugins.objectives.spark import SparK, SparKConfig


@pytest.fixture
def sample():
    torch.manual_seed(0)
    predicted, patches = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    return predicted, 2 * patches + 3, random_mask(3, 5, 0.6, predicted)


def make(name="test_resnet", size=32):
    torch.manual_seed(0)
    return SparK(create_encoder(name, 3, size), SparKConfig(decoder_dim=64))


def make_batch(size=32):
    torch.manual_seed(1)
    none = torch.zeros(4, dtype=torch.long)
    return Batch((torch.randn(4, 3, size, size),), none, none, none[:, None], ())


def half_visible(images, cells):
    """Masks (B, 1, h, w) with 1 in half of the cells."""
    mask = random_mask(images, cells * cells, 0.5, torch.zeros(()))
    return (~mask).float().view(images, 1, cells, cells)


def slow_loss(predicted, patches, mask):
    """Section 3.4 with loops: squared error to hidden patches of mean 0 and variance 1."""
    errors = []
    for i, j in mask.nonzero().tolist():
        patch = patches[i, j].numpy()
        truth = (patch - patch.mean()) / np.sqrt(((patch - patch.mean()) ** 2).mean() + 1e-6)
        errors += [(a - b) ** 2 for a, b in zip(predicted[i, j].tolist(), truth, strict=True)]
    return sum(errors) / len(errors)


def slow_layers(x, weight, scale, shift, sites):
    """3 x 3 convolution and batch normalization that visit the sites (B, h, w) only.

    Returns (B, D, h, w), 0 elsewhere, and the mean and variance (n - 1) of each feature.
    """
    b, _, h, w = x.shape
    out = np.zeros((b, len(weight), h, w))
    for n, i, j in np.argwhere(sites):
        for di, dj in np.ndindex(3, 3):
            y, z = i + di - 1, j + dj - 1
            if 0 <= y < h and 0 <= z < w and sites[n, y, z]:
                out[n, :, i, j] += weight[:, :, di, dj] @ x[n, :, y, z]
    rows = np.array([out[n, :, i, j] for n, i, j in np.argwhere(sites)])
    mean, var = rows.mean(0), rows.var(0)
    for n, i, j in np.argwhere(sites):
        out[n, :, i, j] = scale * (out[n, :, i, j] - mean) / np.sqrt(var + 1e-5) + shift
    return out, mean, var * len(rows) / (len(rows) - 1)


def slow_densified(x, shown, token, weight, bias):
    """Normalizes visible positions, puts the token at hidden ones, convolves; with loops."""
    (b, _, h, w), half = x.shape, weight.shape[2] // 2
    rows = np.array([x[n, :, i, j] for n, i, j in np.argwhere(shown)])
    full, out = np.zeros_like(x), np.zeros((b, len(weight), h, w))
    for n, i, j in np.ndindex(b, h, w):
        normal = (x[n, :, i, j] - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5)
        full[n, :, i, j] = normal if shown[n, i, j] else token
    for n, i, j in np.ndindex(b, h, w):
        out[n, :, i, j] = bias
        for di, dj in np.ndindex(weight.shape[2:]):
            y, z = i + di - half, j + dj - half
            if 0 <= y < h and 0 <= z < w:
                out[n, :, i, j] += weight[:, :, di, dj] @ full[n, :, y, z]
    return out


def test_maps_are_densified_as_in_the_authors_code():
    objective, visible = make().double(), half_visible(3, 2).double()
    shapes = objective.encoder.pyramid_shapes(32)
    maps = [torch.randn(3, *shape, dtype=torch.float64) for shape in shapes]
    dense = objective.densify(maps, visible)
    layers = zip(maps, dense, objective.fillers, objective.laterals, strict=True)
    for x, found, token, layer in layers:
        known = visible[:, 0].bool() if x.shape[2] > 1 else visible.bool().amax((2, 3))
        shown = upsample_mask(known.view(3, *[min(2, x.shape[2])] * 2), x.shape[2:])[:, 0].numpy()
        values = (value.detach().numpy() for value in (token[:, 0, 0], layer.weight, layer.bias))
        expected = slow_densified(x.numpy(), shown, *values)
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=1e-9)
    assert [layer.kernel_size[0] for layer in objective.laterals] == [3] * (len(maps) - 1) + [1]


def test_loss_agrees_with_section_3_4(sample):
    assert reconstruction_loss(*sample).item() == pytest.approx(slow_loss(*sample), abs=1e-9)


def test_loss_of_the_truth_and_of_the_mean():
    patches, mask = torch.tensor([[[4.0, 6.0], [0.0, 0.0]]]).double(), torch.tensor([[True, False]])
    for guess, expected in (([-1.0, 1.0], 0), ([0.0, 0.0], 1)):
        predicted = torch.tensor(guess).double().expand(1, 2, 2)
        assert reconstruction_loss(predicted, patches, mask).item() == pytest.approx(
            expected, abs=1e-5
        )


def test_gradient_is_that_of_the_loss(sample):
    predicted, patches, mask = sample
    assert gradcheck(reconstruction_loss, (predicted.requires_grad_(), patches, mask))


def test_images_may_be_permuted_together(sample):
    order = torch.tensor([2, 0, 1])
    permuted = reconstruction_loss(*(part[order] for part in sample))
    torch.testing.assert_close(permuted, reconstruction_loss(*sample))


def two_layers():
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4),
    )  # fmt: skip
    nn.init.uniform_(body[1].bias)
    return body.double(), torch.randn(2, 2, 4, 6).double(), half_visible(2, 2).double()


def test_gradients_of_dense_layers_are_right():
    body, x, visible = two_layers()
    with visible_only(body, visible):
        assert gradcheck(body, (x.requires_grad_(),))


def test_dense_layers_compute_what_sparse_ones_do():
    body, x, visible = two_layers()
    with visible_only(body, visible):
        found = body(x)
    sites = (~upsample_mask(visible[:, 0] == 0, (4, 6)))[:, 0].numpy()
    expected = x.numpy()
    for conv, norm in ((body[0], body[1]), (body[2], body[3])):
        parts = (conv.weight, norm.weight, norm.bias)
        expected, mean, var = slow_layers(expected, *(p.detach().numpy() for p in parts), sites)
        np.testing.assert_allclose(norm.running_mean, 0.1 * mean, rtol=0, atol=1e-9)
        np.testing.assert_allclose(norm.running_var, 0.9 + 0.1 * var, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.detach(), expected, rtol=0, atol=1e-9)


def test_the_context_ends():
    body, x = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)).eval(), torch.randn(1, 1, 8, 8)
    before = body(x)
    with pytest.raises(ZeroDivisionError), visible_only(body, torch.zeros(1, 1, 2, 2)):
        _ = 1 / 0
    assert torch.equal(body(x), before)


@pytest.mark.parametrize("name", ["test_resnet", "convnext_atto", "test_efficientnet"])
@pytest.mark.parametrize("training", [True, False])
def test_hidden_pixels_do_not_influence_any_feature(name, training):
    encoder = create_encoder(name, 3, 32).train(training)
    visible, x = half_visible(4, 4), make_batch().views[0]
    hidden = upsample_mask(visible[:, 0] == 0, (32, 32))
    other = torch.where(hidden, 100 * torch.randn_like(x), x)
    with visible_only(encoder, visible):
        for a, b in zip(encoder.forward_pyramid(x), encoder.forward_pyramid(other), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["test_resnet", "convnext_atto"])
def test_hidden_places_are_nothing_to_every_convolution(name):
    encoder, visible, seen = create_encoder(name, 3, 64), half_visible(4, 4), []
    with visible_only(encoder, visible):
        for module in encoder.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        encoder.forward_pyramid(make_batch(64).views[0])
    fine = [x for x in seen if x.shape[2] >= 4]
    assert len(fine) > 4
    for x in fine:
        hidden = upsample_mask(visible[:, 0] == 0, x.shape[2:]).expand_as(x)
        assert (x[hidden] == 0).all()
        assert (x[~hidden] != 0).any()


def test_the_whole_image_visible_is_the_plain_network():
    encoder, x = create_encoder("test_resnet", 3, 32).eval(), make_batch().views[0]
    with visible_only(encoder, torch.ones(4, 1, 4, 4)):
        seen = encoder.forward_map(x)
    torch.testing.assert_close(seen, encoder.forward_map(x))


@pytest.mark.parametrize(
    ("name", "size", "patch"),
    [("test_resnet", 224, 32), ("test_resnet", 64, 16), ("convnext_atto", 64, 16)],
)
def test_four_cells_along_a_side_at_least(name, size, patch):
    assert make(name, size).patch == (patch, patch)


def test_a_vit_is_refused():
    with pytest.raises(UsageError, match="'test_vit' has maps of one size"):
        make("test_vit", 64)


def test_hidden_places_of_maps_are_filled(monkeypatch):
    objective, batch = make(), make_batch()
    nn.init.constant_(objective.fillers[0], 7.0)
    seen, lateral = [], objective.laterals[0].forward
    monkeypatch.setattr(objective.laterals[0], "forward", lambda m: seen.append(m) or lateral(m))
    visible = half_visible(4, 4)
    objective.restore(batch.views[0], visible)
    hidden = upsample_mask(visible[:, 0] == 0, (16, 16)).expand_as(seen[0])
    assert (seen[0][hidden] == 7).all()
    assert (seen[0][~hidden] != 7).all()


def test_skill_is_none_for_mean_colors():
    objective = make()
    nn.init.zeros_(objective.head[-1].weight)
    nn.init.zeros_(objective.head[-1].bias)
    assert objective(make_batch()).metrics["reconstruction_skill"] == 0


@pytest.mark.parametrize("shape", [(37, 37), (48, 48), (1, 64)])
def test_any_shape(shape):
    objective, none = make(size=shape[1]), torch.zeros(2, dtype=torch.long)
    batch = Batch((torch.randn(2, 3, *shape),), none, none, none[:, None], ())
    assert objective(batch).loss.isfinite()
