"""Every architecture of timm (https://github.com/huggingface/pytorch-image-models)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, cast

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from ... import Encoder, RunError, UnknownNameError

_TINY = 16  # pixels, at which the last feature map of a usual CNN (stride 32) is 1x1


def _precision_for(x: Tensor) -> AbstractContextManager[Any]:
    """Turns mixed precision off on a CPU for images (B, C, H, W) of at most 16 pixels.

    oneDNN's gradients of bfloat16 convolutions over 1x1 maps contain uninitialized memory.
    """
    if x.device.type == "cpu" and max(x.shape[2:]) <= _TINY:
        return torch.autocast("cpu", enabled=False)
    return nullcontext()


class TimmEncoder(Encoder):
    """A timm model without its head.

    Args:
        architecture: Any name of `timm.list_models()`.
        channels: Number of input channels (C).
        image_size: Pixels; passed to models whose position embedding depends on it.
    """

    example: ClassVar[tuple[str, ...]] = ("test_resnet", "test_vit")
    body: Any

    def __init__(self, architecture: str, channels: int, image_size: int) -> None:
        super().__init__(architecture, channels, image_size)
        base = architecture.partition(".")[0]
        if not timm.is_model(base):
            raise UnknownNameError("timm architecture", architecture, timm.list_models())
        cfg = timm.get_pretrained_cfg(architecture)
        sized: dict[str, Any] = {"img_size": image_size} if cfg and cfg.fixed_input_size else {}
        self.arguments = {"num_classes": 0, "in_chans": channels, **sized}
        self.body = timm.create_model(architecture, **self.arguments)
        if getattr(self.body, "dynamic_img_size", True) is False:  # for views of other sizes
            free: dict[str, Any] = {"dynamic_img_size": True}
            if isinstance(self.body, VisionTransformer):
                free["dynamic_img_pad"] = True  # up to whole patches
            self.body = timm.create_model(architecture, **free, **self.arguments)
        self.num_features = getattr(self.body, "head_hidden_size", None) or self.body.num_features
        if hasattr(self.body, "forward_intermediates"):
            self.provides |= {"map", "pyramid"}
        if isinstance(self.body, VisionTransformer):
            self.provides |= {"tokens"}
            self.num_prefix_tokens = self.body.num_prefix_tokens

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to pooled features (B, D)."""
        with _precision_for(x):
            return cast(Tensor, self.body(x))

    def forward_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns pooled features (B, D) and the feature maps, finest first, from one pass.

        The last map is the one that is pooled: after the convolutional head of an EfficientNet,
        after the last normalization of a ViT. Training with maps therefore trains these layers too.
        """
        with _precision_for(x):
            last, maps = self.body.forward_intermediates(
                x, output_fmt="NCHW", norm="tokens" in self.provides
            )
            if last.shape[2:] == maps[-1].shape[2:]:
                maps[-1] = last
            return self.body.forward_head(last), maps

    def forward_tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Maps (B, C, H, W) to tokens (B, prefix + N, D), of the patches `keep` (B, M) if given."""
        body = self.body
        tokens = body._pos_embed(body.patch_embed(x))
        if keep is not None:
            rows = keep[..., None].expand(-1, -1, tokens.shape[2])
            kept = tokens[:, self.num_prefix_tokens :].gather(1, rows)
            tokens = torch.cat([tokens[:, : self.num_prefix_tokens], kept], dim=1)
        return cast(Tensor, body.norm(body.blocks(body.norm_pre(tokens))))

    def imagenet(self) -> dict[str, Tensor]:
        """Returns timm's pretrained weights, from its cache or the network.

        Raises:
            RunError: If they are in neither.
        """
        try:
            model = timm.create_model(self.name, pretrained=True, num_classes=0)
        except Exception as error:
            raise RunError(
                f"timm's ImageNet weights of '{self.name}' are unavailable "
                f"({type(error).__name__}). Download them on another machine and give --init FILE."
            ) from error
        return cast(dict[str, Tensor], model.state_dict())

    @property
    def pretrained_statistics(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation of RGB in [0, 1] that timm's weights expect."""
        cfg = self.body.pretrained_cfg
        return list(cfg["mean"]), list(cfg["std"])

    @property
    def first_layer(self) -> str:
        """State-dict key of the input layer's weight (first convolution or patch embedding)."""
        first = self.body.pretrained_cfg.get("first_conv") or ""
        return f"{first}.weight" if isinstance(first, str) and first else ""
