"""The loss agrees with the authors' code, too, but for their n - 1 in the variance:
https://github.com/facebookresearch/mae (`MaskedAutoencoderViT.forward_loss`)."""

import numpy as np
import pytest
import torch
from timm.layers import build_sincos2d_pos_embed
from torch import nn
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn import patchify, random_mask
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.mae import MAE, MAEConfig, reconstruction_loss
from ssl_kit.plugins.objectives.simmim import SimMIM


@pytest.fixture
def sample():
    torch.manual_seed(0)
    predicted, patches = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    return predicted, 2 * patches + 3, random_mask(3, 5, 0.6, predicted)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    none = torch.zeros(4, dtype=torch.long)
    return Batch((torch.randn(4, 3, 64, 64),), none, none, none[:, None], ())


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return MAE(create_encoder("test_vit", 3, 64), MAEConfig(decoder_dim=32, decoder_depth=1))


def slow_loss(predicted, patches, mask):
    """Section 3 with loops: every hidden patch minus its mean, over its deviation."""
    total, count = 0.0, 0
    for guess, patch, hidden in zip(
        predicted.flatten(0, 1).numpy(), patches.flatten(0, 1).numpy(), mask.flatten(), strict=True
    ):
        if not hidden:
            continue
        mean = sum(patch) / len(patch)
        variance = sum((value - mean) ** 2 for value in patch) / len(patch)
        for value, g in zip(patch, guess, strict=True):
            total += (g - (value - mean) / np.sqrt(variance + 1e-6)) ** 2
            count += 1
    return total / count


def test_loss_agrees_with_section_3(sample):
    assert reconstruction_loss(*sample).item() == pytest.approx(slow_loss(*sample), abs=1e-9)


def test_loss_of_the_truth_of_its_mean_and_of_its_opposite():
    patches = torch.tensor([[[4.0, 6.0], [0.0, 0.0]]], dtype=torch.float64)
    mask, truth = torch.tensor([[True, False]]), torch.tensor([-1.0, 1.0], dtype=torch.float64)
    for guess, expected in ((truth, 0), (0 * truth, 1), (-truth, 4)):
        predicted = guess.expand(1, 2, 2)
        loss = reconstruction_loss(predicted, patches, mask).item()
        assert loss == pytest.approx(expected, abs=1e-5)


def test_a_blank_patch_is_finite():
    mask = torch.ones(1, 1, dtype=torch.bool)
    assert reconstruction_loss(torch.zeros(1, 1, 4), torch.full((1, 1, 4), 7.0), mask) == 0


def test_brightness_and_contrast_of_patches_do_not_matter(sample):
    predicted, patches, mask = sample
    other = 50 * patches * torch.rand(3, 5, 1).double().add(1) + 9
    torch.testing.assert_close(
        reconstruction_loss(predicted, other, mask), reconstruction_loss(*sample), rtol=1e-5, atol=0
    )


def test_images_and_patches_may_be_permuted_together(sample):
    order = torch.tensor([2, 0, 1])
    permuted = reconstruction_loss(*(part[order] for part in sample))
    torch.testing.assert_close(permuted, reconstruction_loss(*sample))


def test_gradient_is_that_of_the_loss(sample):
    predicted, patches, mask = sample
    assert gradcheck(reconstruction_loss, (predicted.requires_grad_(), patches, mask))


def test_the_encoder_sees_a_quarter_of_the_patches(objective, batch, monkeypatch):
    seen, tokens = [], objective.encoder.forward_tokens
    monkeypatch.setattr(
        objective.encoder, "forward_tokens", lambda x, keep: seen.append(keep) or tokens(x, keep)
    )
    objective(batch)
    assert seen[0].shape == (4, 4)  # of 16


def test_hidden_pixels_do_not_influence_what_is_restored(objective, batch):
    x, mask = batch.views[0], random_mask(4, 16, 0.75, batch.views[0])
    hidden = mask.view(4, 1, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    other = torch.where(hidden, torch.randn_like(x), x)
    restored = objective.restore(x, mask)
    torch.testing.assert_close(objective.restore(other, mask), restored)
    assert not torch.allclose(objective.restore(other.flip(0), mask), restored)


def test_the_class_token_is_trained(objective, batch):
    objective(batch).loss.backward()
    assert objective.encoder.body.cls_token.grad.any()


def test_tokens_lie_where_they_were(objective, batch):
    x, mask = batch.views[0], random_mask(4, 16, 0.75, batch.views[0])
    objective.decoder = nn.Identity()  # the class token is cut off behind it
    found = objective.restore(x, mask) - build_sincos2d_pos_embed([4, 4], 32)
    for row in range(4):
        keep = (~mask[row]).nonzero().T
        own = objective.embed(objective.encoder.forward_tokens(x[row : row + 1], keep))[0, 1:]
        torch.testing.assert_close(found[row][~mask[row]], own, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[row][mask[row]], objective.mask_token.expand(12, -1))


def test_skill_is_none_for_mean_colors_and_full_for_the_truth(objective, batch):
    nn.init.zeros_(objective.decoder[-1].weight)
    nn.init.zeros_(objective.decoder[-1].bias)
    assert objective(batch).metrics["reconstruction_skill"].item() == pytest.approx(0, abs=1e-6)
    patches = patchify(batch.views[0], 16)
    truth = nn.functional.layer_norm(patches, patches.shape[-1:], eps=1e-6)
    objective.restore = lambda x, mask: truth
    assert objective(batch).metrics["reconstruction_skill"].item() == 1


@pytest.mark.parametrize("kind", [MAE, SimMIM])
def test_a_size_that_the_patches_do_not_divide_is_refused_with_one_that_fits(kind):
    with pytest.raises(UsageError, match=r"Images of 60 px .* Give --image-size 48, or another"):
        kind(create_encoder("test_vit", 3, 60), kind.Config())
