"""Every architecture of timm (https://github.com/huggingface/pytorch-image-models)."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, ClassVar, cast

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from ... import Encoder, RunError, UsageError
from ...nn import patch_size, uncovered
from .timm_downloads import configuration_of, how_to_download, without_retries
from .timm_pooling import POOLINGS, described, head_map, head_of_tokens, small_size
from .timm_positions import kept_rotations, resampled

_TINY = 16  # pixels, at which the last feature map of a usual CNN (stride 32) is 1x1
_OURS = ("num_classes", "in_chans", "img_size")  # arguments that the kit sets itself
_TOKEN_PARTS = ("patch_embed", "_pos_embed", "norm_pre", "blocks", "norm", "num_prefix_tokens")
_ARGUMENTS = (
    (r"\.ls\d\.gamma$|\.gamma_\d$", "init_values=1e-5"),
    (r"^reg_token$|register_tokens$", "reg_tokens={number}"),
    (r"attn\.[qk]_norm\.", "qk_norm=true"),
    (r"^norm_pre\.", "pre_norm=true"),
    (r"^fc_norm\.", "global_pool=avg"),
    (r"attn\.qkv\.bias$", "qkv_bias=true"),
)
"""Weights that tell of an argument of timm's vision transformers."""


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
        architecture: Any name of `timm.list_models()`, such as resnet50, convnext_tiny or
            vit_small_patch16_224; "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
        channels: Number of input channels (C).
        image_size: Pixels; passed to models whose position embedding depends on it.
        options: Further arguments of `timm.create_model`, such as `init_values=1e-5`.
    """

    example: ClassVar[tuple[str, ...]] = (
        "test_resnet",
        "test_mambaout",  # has a norm behind the pooling, and maps (B, h, w, D)
        "test_vit",  # pools its class token
        "test_vit2",  # pools patch tokens, has registers
        "test_vit3",  # pools by attention
    )
    body: Any

    def __init__(self, architecture: str, channels: int, image_size: int, **options: Any) -> None:
        cfg, name, options = configuration_of(architecture, options)
        super().__init__(name, channels, image_size)
        self._weights = architecture if name != architecture else ""
        sized: dict[str, Any] = {"img_size": image_size} if cfg and cfg.fixed_input_size else {}
        self.options = {key: value for key, value in options.items() if key not in _OURS}
        self.arguments = {"num_classes": 0, "in_chans": channels, **sized, **self.options}
        self._cfg, self._head_at_positions, self._free = cfg, False, dict[str, Any]()
        self.body = self._build(self.arguments)
        if self._free.get("dynamic_img_pad") and image_size % patch_size(self.body):
            # plain timm would crop such images to whole patches, and give other features
            self.options, self.arguments = self.options | self._free, self.arguments | self._free
        self.num_features = getattr(self.body, "head_hidden_size", None) or self.body.num_features
        if hasattr(self.body, "forward_intermediates"):
            self.provides |= {"map", "pyramid"}
        if all(hasattr(self.body, part) for part in _TOKEN_PARTS):
            self.provides |= {"tokens"}
            self.num_prefix_tokens = self.body.num_prefix_tokens

    def _build(self, arguments: dict[str, Any]) -> Any:
        """Builds the model, for views of other sizes too."""
        create = partial(timm.create_model, self.name, pretrained_cfg=self._cfg, **arguments)
        body = create(**self._free)
        free: dict[str, Any] = {}
        if getattr(body, "dynamic_img_size", True) is False:
            free["dynamic_img_size"] = True
        if isinstance(body, VisionTransformer) and not body.patch_embed.dynamic_img_pad:
            free |= {"dynamic_img_size": True, "dynamic_img_pad": True}  # up to whole patches
        if free:
            self._free, body = free, create(**free)  # the next one is built once
        return body

    def pool_from(self, part: str) -> None:
        """Pools the mean of the patch tokens if the token or layer that is pooled is not trained.

        Layers behind the pooling, such as the norm of a ConvNeXt, are applied to each position of
        the last map, or to each token, so that they are trained as well.

        Raises:
            UsageError: If the features would still depend on weights that are not trained.
        """
        if not (problem := self._untrained(part) if part in self.provides else ""):
            return
        body, old = self.body, str(getattr(self.body, "global_pool", ""))
        token = old == "token" and (part == "map" or "tokens" not in self.provides)
        heads = () if token or old == "map" else (True,)  # with what is pooled left as it is
        for changed in POOLINGS:
            if changed and not self._rebuild(body, changed):
                continue
            for self._head_at_positions in (False, True) if changed else heads:
                if not self._untrained(part):
                    self.options, self.arguments = self.options | changed, self.arguments | changed
                    self.pooling = described(old) if changed else ""
                    return
        raise UsageError(
            f"The features of '{self.name}' depend on weights that this objective does not train "
            f"('{problem}' is one). Choose another --encoder, such as a ResNet or a ViT."
        )

    def _rebuild(self, body: Any, changed: dict[str, Any]) -> bool:
        """Builds the model with changed arguments and the weights of `body`, if it has all."""
        try:
            with torch.random.fork_rng(devices=[]):
                self.body = self._build({**self.arguments, **changed})
            names, weights = self.body.state_dict(), body.state_dict()
            self.body.load_state_dict({k: v for k, v in weights.items() if k in names})
        except (TypeError, RuntimeError, AssertionError):  # no such argument, or other weights
            return False
        return True

    def _untrained(self, part: str) -> str:
        """Names what the features depend on and a map or the tokens do not; "" if nothing.

        A small image shows the same, and is several times faster; some models do not take it.
        """
        run = self.forward_map if part == "map" else self.forward_tokens

        def at(size: int) -> str:
            random, like = torch.Generator().manual_seed(0), next(self.body.parameters())
            x = torch.rand((1, self.channels, size, size), generator=random).to(like)
            return uncovered(self.body, lambda: self(x), lambda: run(x))

        try:
            return at(min(small_size(self.body), self.image_size))
        except (AssertionError, RuntimeError, ValueError):
            return at(self.image_size)

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
            if self._head_at_positions:
                maps[-1] = head_map(self.body, last, maps[-1].shape[2:])
            elif last.shape[2:] == maps[-1].shape[2:]:
                maps[-1] = last
            return self.body.forward_head(last), maps

    def forward_tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Maps (B, C, H, W) to tokens (B, prefix + N, D), of the patches `keep` (B, M) if given."""
        body = self.body
        embedded = body._pos_embed(body.patch_embed(x))
        tokens, rope = embedded if isinstance(embedded, tuple) else (embedded, None)
        if keep is not None:
            rows = keep[..., None].expand(-1, -1, tokens.shape[2])
            kept = tokens[:, self.num_prefix_tokens :].gather(1, rows)
            tokens = torch.cat([tokens[:, : self.num_prefix_tokens], kept], dim=1)
            if rope is not None:
                rope = kept_rotations(kept, rope, keep, mixed=getattr(body, "rope_mixed", False))
        tokens = self._blocks(body.norm_pre(tokens), rope)
        return head_of_tokens(self.body, tokens) if self._head_at_positions else tokens

    def _blocks(self, tokens: Tensor, rope: Any) -> Tensor:
        """Applies the transformer blocks and the final normalization."""
        body = self.body
        if rope is None:
            return cast(Tensor, body.norm(body.blocks(tokens)))
        for number, block in enumerate(body.blocks):
            mixed = getattr(body, "rope_mixed", False)  # each block has rotations of its own
            tokens = block(tokens, rope=rope[number] if mixed else rope)
        return cast(Tensor, body.norm(tokens))

    def imagenet(self) -> dict[str, Tensor]:
        """Returns timm's pretrained weights, from its cache, the network or the folder named.

        Raises:
            RunError: If they can be had from none of these.
        """
        try:
            name = self._weights or self.name
            with without_retries(name):
                model = timm.create_model(name, pretrained=True, num_classes=0, **self.options)
        except Exception as error:
            raise RunError(
                f"timm's ImageNet weights of '{self.name}' are unavailable "
                f"({type(error).__name__}). {how_to_download(self.name, self._cfg)}"
            ) from error
        return cast(dict[str, Tensor], model.state_dict())

    def convert(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Fits a checkpoint to the encoder's layout and image size by timm's own functions."""
        entrypoint = timm.models.model_entrypoint(self.name.partition(".")[0])
        module = sys.modules[entrypoint.__module__]
        adapt: Callable[..., Any] | None = getattr(module, "checkpoint_filter_fn", None)
        if adapt is not None:
            takes_model = len(inspect.signature(adapt).parameters) > 1
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch, about how timm resamples
                state = adapt(state, self.body) if takes_model else adapt(state)
        positions, encoder_state = state.get("pos_embed"), self.body.state_dict()
        if positions is not None and "pos_embed" in encoder_state:
            shape = encoder_state["pos_embed"].shape
            if positions.ndim == 3 and positions.shape != shape:  # timm's function left them out
                state = {**state, "pos_embed": resampled(positions, shape[1])}
        return state

    def reference_features(self, state: dict[str, Tensor], x: Tensor) -> Tensor | None:
        """Returns the features (B, D) of plain timm with these weights; None if it refuses them."""
        overlay = {
            "state_dict": state,
            "source": "",
            "custom_load": False,
            "num_classes": 0,
            "input_size": (self.channels, self.image_size, self.image_size),
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                plain = timm.create_model(
                    self.name, pretrained=True, pretrained_cfg_overlay=overlay, **self.arguments
                )
        except (RuntimeError, KeyError, AttributeError, ValueError):
            return None
        return cast(Tensor, plain.eval()(x))

    def argument_for(self, weight: str, value: Tensor) -> str:
        """Returns the argument that gives the architecture room for a weight, "" if unknown."""
        for pattern, argument in _ARGUMENTS:
            if re.search(pattern, weight):
                return argument.format(number=value.shape[1] if value.ndim > 1 else 1)
        return ""

    @property
    def classifier(self) -> tuple[str, ...]:
        """Names of the layers that classify."""
        names = self.body.pretrained_cfg.get("classifier") or ()
        return (*super().classifier, *([names] if isinstance(names, str) else names))

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
