import pytest
import torch
from torchvision.models.detection import FasterRCNN

from ssl_kit import UsageError
from ssl_kit.nn import create_encoder
from ssl_kit.plugins.evaluations.detector import backbone, detector


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_the_pyramid_has_the_strides_that_torchvision_expects(name):
    pyramid = backbone(create_encoder(name, 3, 64), width=16).eval()
    assert pyramid.out_channels == 16
    maps = pyramid(torch.zeros(1, 3, 64, 128))
    shapes = {key: tuple(value.shape[1:]) for key, value in maps.items()}
    assert shapes == {
        "0": (16, 16, 32), "1": (16, 8, 16), "2": (16, 4, 8), "3": (16, 2, 4), "pool": (16, 1, 2),
    }  # fmt: skip


def test_the_backbone_serves_torchvision():
    network = FasterRCNN(backbone(create_encoder("test_resnet", 3, 64), width=16), 3, min_size=64)
    said = network.eval()([torch.rand(3, 60, 90)])
    assert set(said[0]) == {"boxes", "labels", "scores"}


def test_the_backbone_leaves_the_mode_and_the_statistics_of_the_encoder():
    encoder = create_encoder("test_resnet", 3, 64).train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    backbone(encoder)
    assert encoder.training
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_an_encoder_without_a_pyramid_is_a_plain_error():
    with pytest.raises(UsageError, match=r"strides of 4, 8, 16 and 32 .* 'test_vit': 16\. Choose"):
        backbone(create_encoder("test_vit", 3, 64))


@pytest.mark.parametrize("channels", [1, 4])
def test_images_may_have_any_number_of_channels(channels):
    encoder = create_encoder("test_resnet", channels, 64)
    network = detector(encoder, 2, 64, [0.5] * channels, [0.2] * channels, masks=True).eval()
    assert set(network([torch.rand(channels, 64, 48)])[0]) == {"boxes", "labels", "scores", "masks"}
