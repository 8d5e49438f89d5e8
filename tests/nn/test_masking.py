import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ssl_kit import UsageError
from ssl_kit.nn import MaskPatch, masking, objectives, patchify, random_mask, upsample_mask
from ssl_kit.nn.weights import create_encoder

LIKE = torch.zeros(())


def cover_for(channels, size):
    return MaskPatch(SimpleNamespace(channels=channels, image_size=4 * size), size)


@pytest.mark.parametrize(("patch", "tall", "wide"), [(2, 2, 2), ((1, 3), 1, 3), ((3, 2), 3, 2)])
def test_patches_are_cut_row_by_row_and_a_rest_is_left_out(patch, tall, wide):
    x = torch.arange(2 * 3 * 4 * 7).view(2, 3, 4, 7)
    h, w = 4 // tall, 7 // wide
    expected = np.zeros((2, h * w, tall * wide * 3), int)
    for b in range(2):
        for i in range(h):
            for j in range(w):
                cut = x[b, :, i * tall : (i + 1) * tall, j * wide : (j + 1) * wide]
                expected[b, i * w + j] = cut.permute(1, 2, 0).flatten().numpy()
    assert (patchify(x, patch).numpy() == expected).all()


@pytest.mark.parametrize(
    ("cells", "ratio", "hidden"), [(16, 0.75, 12), (49, 0.6, 29), (4, 0.01, 1), (4, 0.99, 3)]
)
def test_every_row_hides_its_share_but_neither_nothing_nor_all(cells, ratio, hidden):
    mask = random_mask(5, cells, ratio, LIKE)
    assert mask.dtype == torch.bool
    assert mask.sum(dim=1).tolist() == [hidden] * 5


def test_rows_are_hidden_apart_and_everywhere_alike():
    torch.manual_seed(0)
    mask = random_mask(4000, 5, 0.4, LIKE)
    assert len(mask.unique(dim=0)) == 10  # two of five
    assert (mask.float().mean(dim=0) - 0.4).abs().max() < 0.03


def test_one_cell_cannot_be_hidden_in_part():
    with pytest.raises(UsageError, match="larger --image-size"):
        random_mask(2, 1, 0.5, LIKE)


@pytest.mark.parametrize("name", ["mae", "simmim", "data2vec"])
def test_objectives_refuse_images_of_one_patch_before_training(name):
    kind = objectives[name]
    with pytest.raises(UsageError, match="larger --image-size"):
        kind(create_encoder("test_vit", 3, 16), kind.Config())


def test_spread_repeats_cells():
    mask = torch.tensor([[[True, False], [False, True]]])
    rows = [[1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert upsample_mask(mask, (4, 6)).int().tolist() == [[rows]]


@pytest.mark.parametrize(
    ("name", "size", "pixels"),
    [
        ("test_resnet", 64, 8),
        ("test_resnet", 224, 32),  # as SimMIM
        ("convnext_atto", 64, 8),
        ("test_vit", 32, 16),
        ("test_vit", 224, 32),  # two patches
    ],
)
def test_a_place_is_about_a_seventh_of_the_side_and_whole_cells(name, size, pixels):
    cover = MaskPatch.fitting(create_encoder(name, 2, size), 7)
    assert cover.pixels.shape == (2, pixels, pixels)


@pytest.mark.parametrize(
    ("shape", "grid"), [((8, 8), (2, 2)), ((9, 13), (3, 4)), ((1, 12), (1, 3))]
)
def test_masks_cover_images_of_any_shape(shape, grid):
    mask = cover_for(2, 4).draw(torch.zeros(3, 2, *shape), 0.5)
    assert mask.shape == (3, *grid)
    assert mask.flatten(1).any(dim=1).all()


def test_hidden_places_show_the_patch_and_others_the_image():
    cover = cover_for(1, 2)
    cover.pixels.data = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    covered = cover(torch.zeros(1, 1, 4, 4), torch.tensor([[[True, False], [False, True]]]))
    expected = [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 1, 2], [0, 0, 3, 4]]
    assert covered[0, 0].tolist() == expected


@pytest.mark.parametrize("shape", [(37, 37), (1, 37)])
def test_hidden_places_of_odd_sizes_and_signals(shape):
    cover, x = cover_for(3, 8), torch.rand(2, 3, *shape) + 1
    mask = cover.draw(x, 0.5)
    assert torch.equal(cover(x, mask) < 0.5, upsample_mask(mask, shape).expand_as(x))


def test_the_patch_is_learned_from_hidden_places():
    cover, x = cover_for(1, 2), torch.zeros(1, 1, 4, 4)
    cover(x, torch.tensor([[[True, True], [False, False]]])).sum().backward()
    assert cover.pixels.grad.flatten().tolist() == [2.0] * 4


class Whole:
    """Says of every draw that the whole images are passed, or not."""

    def __init__(self, chance):
        self.chance = chance

    def __call__(self, *shape, like):
        return torch.full(shape, self.chance)


def covered(monkeypatch, chance):
    """Returns an encoder that has seen a batch with hidden places, and the images."""
    monkeypatch.setattr(masking, "rand_shared", Whole(chance))
    torch.manual_seed(0)
    encoder, x = create_encoder("test_resnet", 3, 32), torch.randn(4, 3, 32, 32) + 2
    cover = MaskPatch.fitting(encoder, 7)
    maps = cover.forward_pyramid(encoder, x, cover.draw(x, 0.6))
    return encoder, x, maps, cover


def test_running_statistics_are_of_whole_images(monkeypatch):
    encoder, x, maps, _ = covered(monkeypatch, 0.0)
    other = copy.deepcopy(encoder)
    norm = other.body.bn1
    norm.reset_running_stats()
    norm.momentum = 1 - 0.9**4  # as after four such batches
    with torch.no_grad():
        other.train()(x)
    torch.testing.assert_close(encoder.body.bn1.running_mean, norm.running_mean)
    torch.testing.assert_close(encoder.body.bn1.running_var, norm.running_var)
    assert encoder.body.bn1.momentum == 0.1
    maps[-1].sum().backward()  # undisturbed by the other pass


def test_running_statistics_are_not_of_hidden_places(monkeypatch):
    encoder, *_ = covered(monkeypatch, 0.9)
    assert not encoder.body.bn1.running_mean.any()


def test_maps_are_of_images_with_hidden_places(monkeypatch):
    encoder, x, _, cover = covered(monkeypatch, 0.9)
    torch.manual_seed(5)
    mask = cover.draw(x, 0.6)
    for a, b in zip(
        cover.forward_pyramid(encoder, x, mask),
        encoder.forward_pyramid(cover(x, mask)),
        strict=True,
    ):
        assert torch.equal(a, b)
