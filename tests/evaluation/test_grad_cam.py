import numpy as np
import pytest
import torch
from torch import nn

from ssl_kit import Encoder, UsageError
from ssl_kit.evaluation.classifier import Classifier
from ssl_kit.evaluation.grad_cam import grad_cam
from ssl_kit.nn import create_encoder


class Channels(Encoder):
    """Features are the means of the channels, so that Grad-CAM is the weighted image itself."""

    def __init__(self, channels=3, size=8):
        super().__init__("channels", channels, size)
        self.body, self.num_features = nn.Identity(), channels

    def forward(self, x):
        return self.body(x).mean(dim=(2, 3))

    def forward_features(self, x):
        return self(x), [x]


def classifier_of(encoder, classes=3, seed=0):
    torch.manual_seed(seed)
    classifier = Classifier(encoder, classes).eval()
    nn.init.normal_(classifier.head.weight)
    return classifier


def test_of_means_of_channels_it_is_the_weighted_image():
    """Selvaraju et al., appendix A: with global average pooling it is CAM (Zhou et al. 2016)."""
    classifier = classifier_of(Channels())
    x, classes = torch.randn(2, 3, 5, 7), torch.tensor([2, 0])
    maps = grad_cam(classifier, x, classes)
    weights = classifier.head.weight.tolist()
    for b, k in enumerate(classes.tolist()):
        expected = np.zeros((5, 7))
        for i in range(5):
            for j in range(7):
                total = sum(weights[k][c] * x[b, c, i, j].item() for c in range(3))
                expected[i, j] = max(0.0, total)
        np.testing.assert_allclose(maps[b], expected / expected.max(), atol=1e-5)


def test_it_finds_the_square_that_the_class_is_told_by():
    classifier = classifier_of(Channels())
    with torch.no_grad():
        classifier.head.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))
    x = torch.zeros(2, 3, 8, 8)
    x[:, 0, :4, :4] = 1  # red at the top left, blue at the bottom right
    x[:, 2, 4:, 4:] = 1
    red, blue = grad_cam(classifier, x, torch.tensor([0, 2]))
    assert torch.equal(red, x[0, 0])
    assert torch.equal(blue, x[0, 2])


def test_where_nothing_speaks_for_the_class_it_is_zero():
    classifier = classifier_of(Channels())
    nn.init.constant_(classifier.head.weight, -1.0)
    assert not grad_cam(classifier, torch.rand(1, 3, 8, 8), torch.tensor([0])).any()


@pytest.mark.parametrize(
    ("architecture", "size", "part"),
    [
        ("test_resnet", 128, "layer4"),
        ("cbam/test_resnet", 128, "cbam.layer4"),
        ("test_vit", 64, "blocks.5.norm1"),  # its class token takes nothing of the patches later
        ("test_vit2", 64, "norm"),  # pools the patch tokens
    ],
)
def test_it_is_that_of_the_last_map_that_the_class_depends_on(architecture, size, part):
    """A restatement for one image, with a hook on the part that is known for the architecture."""
    classifier = classifier_of(create_encoder(architecture, 3, size))
    for parameter in getattr(classifier.encoder.body, "cbam", nn.Module()).parameters():
        nn.init.normal_(parameter, std=0.1)
    x, kept = torch.randn(1, 3, size, size), []
    module = classifier.encoder.body.get_submodule(part)

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)

    handle = module.register_forward_hook(keep)
    classifier(x)[0, 1].backward()
    handle.remove()
    values, slopes = kept[0].detach()[0], kept[0].grad[0]
    if values.ndim == 2:  # tokens (N, D), patches last
        values, slopes = (t[-16:].T.reshape(-1, 4, 4) for t in (values, slopes))
    expected = torch.zeros(4, 4)
    for channel, slope in zip(values, slopes, strict=True):
        expected += slope.sum() / 16 * channel
    expected = expected.clamp(min=0)
    [found] = grad_cam(classifier, x, torch.tensor([1]))
    torch.testing.assert_close(found, expected / expected.max(), atol=1e-4, rtol=1e-4)


def test_a_map_of_few_positions_gives_way_to_a_finer_one():
    classifier = classifier_of(create_encoder("resnet18", 3, 64))
    assert grad_cam(classifier, torch.randn(1, 3, 64, 64), torch.tensor([0])).shape == (1, 4, 4)


def test_frozen_networks_are_explained_and_get_no_gradients():
    classifier = classifier_of(create_encoder("test_resnet", 3, 32))
    classifier.freeze("all")
    assert grad_cam(classifier, torch.randn(1, 3, 32, 32), torch.tensor([0])).max() == 1
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_a_network_without_maps_is_refused():
    class Flat(Channels):
        def forward_features(self, x):
            return self(x), [x.new_zeros(len(x), 9, 8, 8)]

    with pytest.raises(UsageError, match="needs a feature map that the prediction depends on"):
        grad_cam(classifier_of(Flat()), torch.rand(1, 3, 8, 8), torch.tensor([0]))
