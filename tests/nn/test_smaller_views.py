import pytest
import torch

from ssl_kit import UsageError
from ssl_kit.nn import create_encoder
from ssl_kit.nn.smaller_views import encoder_of_views


@pytest.mark.parametrize(
    ("name", "size", "views"),
    [
        ("test_resnet", 96, 64),
        ("test_vit", 96, 96),  # position embeddings
        ("vit_relpos_small_patch16_224", 96, 96),  # a fixed grid, which is no weight
        ("maxvit_rmlp_pico_rw_256", 96, 96),  # windows of a fixed size
    ],
)
def test_encoders_of_smaller_views_work_on_whole_images(name, size, views):
    encoder = encoder_of_views(name, 3, size, 0.667)
    assert encoder.image_size == views
    assert encoder.eval()(torch.zeros(1, 3, size, size)).shape == (1, encoder.num_features)


def test_features_are_those_of_an_encoder_for_whole_images():
    encoder = encoder_of_views("test_resnet", 3, 64, 0.5)
    whole = create_encoder("test_resnet", 3, 64)
    whole.body.load_state_dict(encoder.body.state_dict())
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(encoder.eval()(x), whole.eval()(x))


def test_an_image_size_that_an_encoder_cannot_take_is_refused():
    with pytest.raises(UsageError, match="cannot take images of 8 pixels"):
        encoder_of_views("test_vit", 3, 8, 0.5)
