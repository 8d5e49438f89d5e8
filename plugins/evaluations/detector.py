"""torchvision's Faster and Mask R-CNN on the feature pyramid of an encoder.

Ren et al. 2015, https://arxiv.org/abs/1506.01497; He et al. 2017, https://arxiv.org/abs/1703.06870;
the pyramid: Lin et al. 2017, https://arxiv.org/abs/1612.03144.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from ... import Encoder, UsageError

STRIDES = (4, 8, 16, 32)  # pixels
_PROBE = (64, 96)  # pixels, height and width
_WIDTH = 128  # half of the usual width, for a quarter of the computation
_PROPOSALS = 300  # proposals of an image in a test, as in the paper; torchvision has 1000


class Pyramid(nn.Module):
    """An encoder with a feature pyramid network, as torchvision's detectors take it.

    Args:
        encoder: Not copied, so that it is trained with the pyramid.
        levels: Numbers of its feature maps with strides of 4, 8, 16 and 32 pixels.
        widths: Numbers of channels of these maps.
        width: Number of channels of all output maps.

    Attributes:
        out_channels: `width`.
    """

    def __init__(
        self, encoder: Encoder, levels: Sequence[int], widths: Sequence[int], width: int
    ) -> None:
        super().__init__()
        self.encoder, self.out_channels = encoder, width
        self._levels = tuple(levels)
        self.fpn = FeaturePyramidNetwork(list(widths), width, extra_blocks=LastLevelMaxPool())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Maps (B, C, H, W) to maps "0" to "3" of these strides, and "pool" of stride 64.

        Each map is (B, width, h, w).
        """
        maps = self.encoder.forward_pyramid(x)
        chosen = OrderedDict((str(n), maps[level]) for n, level in enumerate(self._levels))
        pyramid: dict[str, Tensor] = self.fpn(chosen)
        return pyramid


def backbone(encoder: Encoder, width: int = 256) -> Pyramid:
    """Returns the `backbone` of torchvision.models.detection.FasterRCNN, MaskRCNN and others.

    Args:
        encoder: Not copied, so that it is trained with the detector.
        width: Number of channels of the pyramid; attribute `out_channels`.

    Raises:
        UsageError: If the encoder has no maps with strides of 4, 8, 16 and 32 pixels.
    """
    shapes = _shapes(encoder)
    strides = [_PROBE[0] // height for _, height, _ in shapes]
    if not set(STRIDES) <= set(strides):
        available = ", ".join(map(str, sorted(set(strides)))) or "none"
        raise UsageError(
            f"A detector needs feature maps with strides of 4, 8, 16 and 32 pixels; those of "
            f"'{encoder.name}': {available}. Choose a CNN or a hierarchical transformer, such as "
            "resnet18 or convnext_atto."
        )
    last = len(strides) - 1  # of maps of one stride the deepest
    levels = [last - strides[::-1].index(stride) for stride in STRIDES]
    return Pyramid(encoder, levels, [shapes[level][0] for level in levels], width)


@torch.no_grad()
def _shapes(encoder: Encoder) -> list[tuple[int, int, int]]:
    """Returns (D, h, w) of the maps of a small image; none if the encoder has a fixed size."""
    if "pyramid" not in encoder.provides:
        return []
    training, weight = encoder.training, next(encoder.parameters())
    encoder.eval()
    try:
        maps = encoder.forward_pyramid(weight.new_zeros(1, encoder.channels, *_PROBE))
    except (AssertionError, RuntimeError, ValueError):  # as timm's models say it
        return []
    finally:
        encoder.train(training)
    return [(m.shape[1], m.shape[2], m.shape[3]) for m in maps]


def detector(
    encoder: Encoder,
    classes: int,
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
    masks: bool,
    regions: int = 128,
    detections: int = 100,
) -> nn.Module:
    """Returns a Faster R-CNN, or a Mask R-CNN; all weights but the encoder's are random.

    The anchors have sides of 1/32, 1/16, ... 1/2 of `size`, like those of torchvision at 1024
    pixels.

    Args:
        encoder: Not copied, so that it is trained with the detector.
        classes: Number of classes without the background (K).
        size: Length of the longer side of the images, in pixels.
        mean: Mean of each channel, of values in [0, 1].
        std: Standard deviation of each channel.
        masks: Whether masks are predicted too.
        regions: Number of regions of an image that the heads are trained on; torchvision has 512.
        detections: Largest number of detections in an image.
    """
    anchors = tuple((max(4, size * 2**n // 32),) for n in range(len(STRIDES) + 1))
    kind = MaskRCNN if masks else FasterRCNN
    network: nn.Module = kind(
        backbone(encoder, _WIDTH),
        classes + 1,
        min_size=size,
        max_size=size,
        image_mean=list(mean),
        image_std=list(std),
        rpn_anchor_generator=AnchorGenerator(anchors, ((0.5, 1.0, 2.0),) * len(anchors)),
        rpn_post_nms_top_n_test=_PROPOSALS,
        box_batch_size_per_image=regions,
        box_detections_per_img=detections,
    )
    return network
