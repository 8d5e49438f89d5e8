"""Sizes agree with a public reimplementation, too:
https://github.com/Runinho/pytorch-cutpaste/blob/main/cutpaste.py."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives import cutpaste
from ssl_kit.plugins.objectives.cutpaste import (
    CORRUPTIONS,
    CutPaste,
    CutPasteConfig,
    cutpaste_loss,
    paste,
    patch_size,
    scar_size,
)


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(12, 3, dtype=torch.float64)


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.randn(8, 3, 40, 40)


@pytest.fixture
def drawn(monkeypatch):
    """Makes the next draws those put into the list, in which the last one stays."""
    values = []

    def draw(rows, *shape, like):
        value = values.pop(0) if len(values) > 1 else values[0]
        return torch.as_tensor(value, dtype=like.dtype).expand(rows, *shape).clone()

    monkeypatch.setattr(cutpaste, "rand_per_sample", draw)
    return values


def loss_of(logits, kinds):
    labels = torch.arange(kinds).repeat_interleave(len(logits) // kinds)
    return cutpaste_loss(logits, labels)


def slow_loss(logits, ways):
    """Eq. 1 with loops: the mean over images and kinds of -log of the probability of the kind."""
    images, total = len(logits) // ways, 0.0
    for kind in range(ways):
        for image in range(images):
            row = logits[kind * images + image].tolist()
            total -= math.log(math.exp(row[kind]) / sum(math.exp(value) for value in row))
    return total / len(logits)


def places(cut, to, turn=0.5, color=0.5, channels=3):
    """What `paste` draws: shares for the centers, the turn, then gains and offsets."""
    return [*cut, *to, turn, *[color] * 2 * channels]


def test_loss_agrees_with_equation_1(logits):
    assert loss_of(logits, 3).item() == pytest.approx(slow_loss(logits, 3), abs=1e-9)


def test_loss_of_guessing_and_of_knowing():
    assert loss_of(torch.zeros(10, 5), 5).item() == pytest.approx(math.log(5))
    sure = 100 * torch.eye(5).repeat_interleave(2, dim=0)
    assert loss_of(sure, 5).item() == pytest.approx(0, abs=1e-9)


def test_images_may_be_permuted_within_a_kind_only(logits):
    within = logits.view(3, 4, 3)[:, [2, 0, 3, 1]].flatten(0, 1)
    torch.testing.assert_close(loss_of(within, 3), loss_of(logits, 3))
    assert not torch.isclose(loss_of(logits.roll(4, dims=0), 3), loss_of(logits, 3))


def test_gradient_is_that_of_the_loss(logits):
    assert gradcheck(lambda x: loss_of(x, 3), (logits.requires_grad_(),))


def test_a_rectangle_is_copied_pixel_by_pixel(images, drawn):
    drawn.append(places((0, 0), (1, 1)))  # from the top left corner to the bottom right one
    size = torch.tensor([[10.0, 6.0]]).expand(8, 2)
    made = paste(images, images, size, 0.1)
    expected = images.clone()
    expected[:, :, 30:, 34:] = images[:, :, :10, :6]
    assert torch.equal(made, expected)


@pytest.mark.parametrize("jitter", [0.1, 1.0])
def test_the_piece_is_recolored_by_the_jitter_at_most(images, drawn, jitter):
    drawn.append(places((0, 0), (1, 1), color=1.0))
    made = paste(images, images, torch.full((8, 2), 10.0), jitter)
    expected = images[:, :, :10, :10] * (1 + jitter) + jitter
    torch.testing.assert_close(made[:, :, 30:, 30:], expected)


def test_an_ellipse_has_the_area_of_an_ellipse(drawn):
    drawn.append(places((0.5, 0.5), (0.5, 0.5), color=1.0, channels=1))
    x = torch.zeros(1, 1, 100, 100)
    changed = paste(x, x, torch.tensor([[60.0, 20.0]]), 0.1, oval=True) != 0
    assert changed.sum().item() == pytest.approx(math.pi * 30 * 10, rel=0.03)
    assert changed[..., 45:55, 41:59].all()
    assert not changed[..., 21:25, 40:45].any()  # a corner of the rectangle around it


@pytest.mark.parametrize(("turn", "angle"), [(0.0, -45), (0.75, 22.5)])
def test_a_turned_piece_lies_along_its_angle(drawn, turn, angle):
    drawn.append(places((0.5, 0.5), (0.5, 0.5), turn, color=1.0, channels=1))
    x = torch.zeros(1, 1, 101, 101)
    changed = paste(x, x, torch.tensor([[60.0, 5.0]]), 0.1, turn=True)[0, 0] != 0
    y, x = (axis.double() - 50 for axis in changed.nonzero(as_tuple=True))
    assert len(y) == pytest.approx(60 * 5, rel=0.05)
    along = 0.5 * torch.atan2(2 * (x * y).sum(), (y * y - x * x).sum())  # the principal axis
    assert abs(math.degrees(along)) == pytest.approx(abs(angle), abs=1.5)


def test_turned_pieces_are_copied_whole(images, drawn):
    drawn.append(places((0.5, 0.5), (0.5, 0.5), turn=0.9))
    made = paste(images, images, torch.full((8, 2), 20.0), 0.1, turn=True)
    values = set(images[0, 0, 9:31, 9:31].flatten().tolist())
    changed = made[0, 0] != images[0, 0]
    assert changed.any()
    assert set(made[0, 0][changed].tolist()) <= values


def test_pieces_come_from_the_source(images):
    made = paste(images, images + 1000, torch.full((8, 2), 10.0), 0.1)
    changed = made > 500
    assert changed.flatten(1).sum(dim=1).tolist() == [300] * 8


def test_a_piece_larger_than_a_signal_is_cut_to_it():
    x = torch.randn(4, 2, 1, 90)
    made = CORRUPTIONS["rectangle"](x, 0.1)
    assert made.shape == x.shape
    assert (made != x).any()


def test_patches_have_the_papers_areas_and_shapes():
    sizes = patch_size(torch.zeros(2000, 1, 100, 100))
    area, aspect = sizes.prod(dim=1) / 100**2, sizes[:, 1] / sizes[:, 0]
    assert 0.02 <= area.min() < 0.025
    assert 0.145 < area.max() <= 0.15
    assert 0.3 <= aspect.min() < 0.32
    assert 3.2 < aspect.max() <= 1 / 0.3 + 1e-4


@pytest.mark.parametrize(("pixels", "scale"), [(256, 1), (512, 2), (64, 0.5)])
def test_scars_have_the_papers_sizes_scaled(pixels, scale):
    length, width = scar_size(torch.zeros(2000, 1, 2, pixels)).div(scale).unbind(dim=1)
    assert 10 <= length.min() < 10.5
    assert 24.5 < length.max() <= 25
    assert 2 <= width.min() < 2.5
    assert 15.5 < width.max() <= 16


@pytest.mark.parametrize("way", [way for way in CORRUPTIONS if way != "none"])
def test_each_way_alters_every_image_in_part(images, way):
    share = (CORRUPTIONS[way](images, 0.1) != images).any(dim=1).flatten(1).float().mean(dim=1)
    assert (share > 0).all()
    assert (share < 0.5).all()


def test_none_alters_nothing(images):
    assert CORRUPTIONS["none"](images, 0.1) is images


def test_other_takes_its_piece_from_another_image(drawn):
    x = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 20, 20)
    drawn += [0.5, 0.5, places((0.5, 0.5), (0.5, 0.5), channels=1)]  # image 2 of 4
    made = CORRUPTIONS["other"](x, 0.1)
    assert made[:, 0, 10, 10].tolist() == [2, 2, 2, 2]
    assert made[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_the_ways_decide_the_number_of_classes(images):
    encoder = create_encoder("test_resnet", 3, 40)
    objective = CutPaste(encoder, CutPasteConfig(kinds=("scar", "none"), hidden_dim=16))
    assert objective.head[-1].out_features == 2
    objective.head.forward = lambda h: torch.eye(2)[0].expand(len(h), 2)  # always the first
    none = torch.zeros(8, dtype=torch.long)
    output = objective(Batch((images,), none, none, none[:, None], ()))
    assert output.metrics["cutpaste_accuracy"] == 0.5


def test_an_unknown_way_is_an_error():
    with pytest.raises(ValueError, match="'none', 'rectangle', 'scar'"):
        CutPasteConfig(kinds=("none", "hole"))
