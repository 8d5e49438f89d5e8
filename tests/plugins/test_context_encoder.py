"""The losses restate eq. 1 to 3; masks as section 3.3 describes them."""

import math

import pytest
import torch
from scipy import ndimage
from torch import nn
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn import inpainting_mask, up_decoder
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.context_encoder import (
    ContextEncoder,
    ContextEncoderConfig,
    discriminator_loss,
    generator_loss,
    reconstruction_loss,
)


@pytest.fixture
def filled():
    torch.manual_seed(0)
    made, x = torch.randn(2, 3, 2, 4, 5, dtype=torch.float64).unbind()
    return made, x, torch.rand(3, 1, 4, 5) < 0.4


@pytest.fixture
def batch():
    torch.manual_seed(1)
    none = torch.zeros(6, dtype=torch.long)
    return Batch((torch.randn(6, 3, 32, 32),), none, none, none[:, None], ())


def make(size=32, **options):
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, size)
    return ContextEncoder(encoder, ContextEncoderConfig(**{"decoder_dim": 32, **options}))


def slow_reconstruction(made, x, hidden):
    """Eq. 1 with loops, divided by the number of hidden values."""
    total = 0.0
    for a, b, m in zip(made.tolist(), x.tolist(), hidden.tolist(), strict=True):
        squares = [
            (a[c][i][j] - b[c][i][j]) ** 2
            for c in range(len(a)) for i in range(len(a[0])) for j in range(len(a[0][0]))
            if m[0][i][j]
        ]  # fmt: skip
        total += sum(squares) / len(squares)
    return total / len(x)


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def test_reconstruction_agrees_with_equation_1(filled):
    found = reconstruction_loss(*filled).item()
    assert found == pytest.approx(slow_reconstruction(*filled), abs=1e-9)


def test_reconstruction_by_hand():
    x, hidden = torch.zeros(1, 1, 1, 4), torch.tensor([[[[True, True, False, False]]]])
    made = torch.tensor([[[[1.0, 3.0, 9.0, 9.0]]]])
    assert reconstruction_loss(made, x, hidden).item() == 5
    assert reconstruction_loss(x, x, hidden).item() == 0


def test_adversarial_losses_agree_with_equation_2():
    torch.manual_seed(0)
    real, false = torch.randn(2, 5, 1, dtype=torch.float64).unbind()
    pairs = zip(real.flatten().tolist(), false.flatten().tolist(), strict=True)
    expected = -sum(math.log(sigmoid(r)) + math.log(1 - sigmoid(f)) for r, f in pairs) / 5
    assert discriminator_loss(real, false).item() == pytest.approx(expected, abs=1e-9)
    expected = -sum(math.log(sigmoid(f)) for f in false.flatten().tolist()) / 5
    assert generator_loss(false).item() == pytest.approx(expected, abs=1e-9)


def test_an_undecided_adversary():
    zero = torch.zeros(3, 1)
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(zero).item() == pytest.approx(math.log(2))


def test_images_may_be_permuted_together_but_not_apart(filled):
    (made, x, hidden), order = filled, torch.tensor([2, 0, 1])
    loss = reconstruction_loss(made, x, hidden)
    torch.testing.assert_close(reconstruction_loss(made[order], x[order], hidden[order]), loss)
    assert not torch.isclose(reconstruction_loss(made[order], x, hidden), loss)


def test_gradients_are_those_of_the_losses(filled):
    made, x, hidden = filled
    assert gradcheck(lambda a: reconstruction_loss(a, x, hidden), (made.requires_grad_(),))
    real, false = torch.randn(2, 5, 1, dtype=torch.float64, requires_grad=True).unbind()
    assert gradcheck(discriminator_loss, (real, false))
    assert gradcheck(generator_loss, (false,))


def test_the_center_is_the_middle_quarter():
    hidden = inpainting_mask(torch.zeros(2, 3, 16, 16), "center")
    expected = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    expected[:, :, 4:12, 4:12] = True
    assert torch.equal(hidden, expected)


def test_blocks_are_up_to_five_squares_of_a_quarter_of_the_side():
    hidden = inpainting_mask(torch.zeros(200, 3, 32, 32), "blocks")[:, 0]
    assert hidden.float().mean().item() == pytest.approx(0.25, abs=0.03)
    for mask in hidden.numpy():
        assert ndimage.label(mask)[1] <= 5
        assert (ndimage.binary_opening(mask, structure=torch.ones(8, 8).numpy()) == mask).all()


def test_a_region_is_a_quarter_in_few_pieces_and_differs_between_images():
    hidden = inpainting_mask(torch.zeros(50, 3, 32, 32), "region")[:, 0]
    assert hidden.float().mean(dim=(1, 2)).tolist() == [0.25] * 50
    assert len(hidden.flatten(1).unique(dim=0)) == 50
    assert max(ndimage.label(mask)[1] for mask in hidden.numpy()) <= 12


@pytest.mark.parametrize("shape", ["center", "blocks", "region"])
def test_a_signal_is_hidden_along_its_time(shape):
    hidden = inpainting_mask(torch.zeros(4, 2, 1, 90), shape)
    assert hidden.shape == (4, 1, 1, 90)


def test_hidden_pixels_do_not_influence_the_fill(batch):
    objective, x = make(), batch.views[0]
    hidden = inpainting_mask(x, "blocks")
    before = objective.eval().fill(x, hidden)
    torch.testing.assert_close(objective.fill(torch.where(hidden, 100.0, x), hidden), before)
    assert not torch.allclose(objective.fill(x + 1, hidden), before)


@pytest.mark.parametrize("size", [32, 37, 64, 100])
def test_the_fill_has_the_size_of_the_image(size):
    x = torch.randn(2, 3, size, size)
    made = make(size)
    assert made.fill(x, inpainting_mask(x, "center")).shape == x.shape


def test_every_cell_sees_the_whole_map_within_its_channel():
    layer = make(96).decoder[1:5].double()
    width, h, w = layer[3].unflattened_size
    x = torch.zeros(1, width, h, w, dtype=torch.float64)
    base = layer(x)
    x[0, 3, 0, 0] = 1
    changed = (layer(x) - base) != 0
    assert changed[0, 3].all()
    assert changed.sum() == h * w


def test_the_decoder_doubles_the_map_as_often_as_asked():
    assert up_decoder(8, 64, 3, 5)(torch.zeros(2, 8, 2, 3)).shape == (2, 5, 16, 24)
    assert up_decoder(8, 64, 0, 5)(torch.zeros(2, 8, 2, 3)).shape == (2, 5, 2, 3)


def test_skill_of_the_mean_image_is_nothing_and_of_the_image_one(batch):
    objective = make()
    objective.fill = lambda x, hidden: torch.zeros_like(x)
    assert objective(batch).metrics["reconstruction_skill"] == pytest.approx(0, abs=1e-6)
    objective.fill = lambda x, hidden: x
    assert objective(batch).metrics["reconstruction_skill"] == 1


def test_without_an_adversary_there_is_one_phase_and_no_discriminator():
    objective = make()
    assert objective.phases == 1
    assert not hasattr(objective, "discriminator")


def test_each_phase_trains_its_own_half(batch):
    objective = make(adversarial=0.1)
    assert objective.phases == 2
    for phase in range(2):
        objective.zero_grad(set_to_none=True)
        objective(batch, phase).loss.backward()
        for name, parameter in objective.named_parameters():
            adversary = name.startswith("discriminator")
            assert (parameter.grad is not None) == (adversary == (phase == 1)), name


def test_the_loss_is_the_weighted_sum_of_equation_3(batch):
    share, objective = 0.25, make(adversarial=0.25).eval()
    x = batch.views[0]
    torch.manual_seed(3)
    hidden = inpainting_mask(x, "region")
    filled = objective.fill(x, hidden)
    expected = (1 - share) * reconstruction_loss(filled, x, hidden)
    expected += share * generator_loss(objective.discriminator(filled * hidden))
    torch.manual_seed(3)
    torch.testing.assert_close(objective(batch).loss, expected)


def test_the_adversary_sees_the_region_only(batch):
    objective, seen = make(adversarial=0.1), []
    objective.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1))
    objective.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(3)
    hidden = inpainting_mask(batch.views[0], "region")
    torch.manual_seed(3)
    objective(batch, 1)
    assert torch.equal(seen[0], batch.views[0] * hidden)
    assert not seen[1][~hidden.expand_as(seen[1])].any()
