"""Encoders of waveforms: a convolutional front end and a transformer.

wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations, Baevski, Zhou,
Mohamed, Auli, 2020, https://arxiv.org/abs/2006.11477, section 2 and appendix B; HuBERT has the same
network (https://arxiv.org/abs/2106.07447, section III-A).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from ssl_kit import Encoder, UnknownNameError, UsageError


@dataclass(frozen=True)
class Size:
    """Size of a network.

    Attributes:
        kernels: Lengths of the convolutions of the front end, in samples of their input.
        strides: Their strides; the product is the number of samples of a frame.
        front: Channels of the front end.
        dim: Width of the transformer (D).
        depth: Number of transformer layers.
        heads: Number of attention heads.
        positions: Length of the convolution that encodes positions, in frames.
    """

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    front: int
    dim: int
    depth: int
    heads: int
    positions: int


_PAPER = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
_SHORT = (10, 8, 4, 4), (5, 4, 2, 2)  # fewer layers; half as many samples, for 8,000 Hz
SIZES = {
    "tiny": Size(*_SHORT, front=32, dim=64, depth=2, heads=2, positions=16),
    "small": Size(*_SHORT, front=128, dim=192, depth=4, heads=4, positions=32),
    "base": Size(*_PAPER, front=512, dim=768, depth=12, heads=12, positions=128),
}


class FrontEnd(nn.Module):
    """Convolutions along time that turn samples into frames (section 2 of wav2vec 2.0).

    Unlike the paper's they are padded, so that n samples give n / stride frames, rounded up.
    """

    def __init__(self, channels: int, size: Size) -> None:
        super().__init__()
        widths = [channels] + [size.front] * len(size.kernels)
        self.convs = nn.ModuleList(
            nn.Conv1d(a, b, kernel, stride, bias=False)
            for a, b, kernel, stride in zip(
                widths[:-1], widths[1:], size.kernels, size.strides, strict=True
            )
        )
        self.norm = nn.GroupNorm(size.front, size.front)  # of the first layer, over time
        self.lengths = [*zip(size.kernels, size.strides, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        """Maps samples (B, C, T) to frames (B, front, T')."""
        for number, conv in enumerate(self.convs):
            kernel, stride = self.lengths[number]
            lacking = max(0, (math.ceil(x.shape[2] / stride) - 1) * stride + kernel - x.shape[2])
            x = conv(pad(x, (lacking // 2, lacking - lacking // 2)))
            x = gelu(self.norm(x) if number == 0 else x)
        return x


class WaveformTransformer(nn.Module):
    """The network of wav2vec 2.0 and HuBERT for waveforms (B, C, 1, T).

    Args:
        channels: C, the number of channels of a waveform.
        size: One of `SIZES`, as keyword arguments.
    """

    def __init__(self, channels: int, **size: object) -> None:
        super().__init__()
        s = Size(**size)  # type: ignore[arg-type]
        self.front = FrontEnd(channels, s)
        self.norm_front = nn.LayerNorm(s.front)
        self.project = nn.Linear(s.front, s.dim)
        self.positions = nn.Conv1d(
            s.dim, s.dim, s.positions, padding=s.positions // 2, groups=s.heads
        )
        self.norm = nn.LayerNorm(s.dim)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                s.dim, s.heads, 4 * s.dim, dropout=0.1, activation="gelu", batch_first=True
            )
            for _ in range(s.depth)
        )

    def maps(self, x: Tensor) -> list[Tensor]:
        """Returns the frames (B, D, 1, T') of the front end and behind each layer."""
        x = self.front(x.squeeze(2)).transpose(1, 2)
        x = self.project(self.norm_front(x))  # (B, T', D)
        frames = [x]
        around = self.positions(x.transpose(1, 2))[..., : x.shape[1]]
        x = self.norm(x + gelu(around).transpose(1, 2))
        for layer in self.layers:
            x = layer(x)
            frames.append(x)
        return [each.transpose(1, 2).unsqueeze(2) for each in frames]

    def forward(self, x: Tensor) -> Tensor:
        """Maps waveforms (B, C, 1, T) to features (B, D), averaged over the frames."""
        return self.maps(x)[-1].mean(dim=(2, 3))


class WaveformEncoder(Encoder):
    """Networks of wav2vec 2.0 and HuBERT for waveforms: waveform/tiny, small or base.

    A frame has 80 samples (tiny, small), 10 ms at 8,000 Hz, or 320 samples (base), 20 ms at
    16,000 Hz. The pyramid has the output of the front end and of each layer, all of one length.

    Args:
        architecture: One of `SIZES`.
        channels: C, the number of channels of a waveform.
        image_size: Number of samples of a view.

    Raises:
        UsageError: If a view is shorter than a frame.
    """

    example = ("tiny",)
    body: WaveformTransformer

    def __init__(self, architecture: str, channels: int, image_size: int) -> None:
        super().__init__(f"waveform/{architecture}", channels, image_size)
        if architecture not in SIZES:
            raise UnknownNameError("architecture of waveform", architecture, SIZES)
        size = SIZES[architecture]
        self.arguments = {"channels": channels, **asdict(size)}
        self.body, self.num_features = WaveformTransformer(**self.arguments), size.dim
        self.provides = frozenset({"map", "pyramid"})

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, 1, T) to pooled features (B, D)."""
        return self.forward_features(x)[0]

    def forward_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns pooled features (B, D) and the frames of the front end and of each layer."""
        if x.shape[2] != 1:
            raise UsageError(
                f"'{self.name}' encodes waveforms, and these are pictures. Set "
                "data.options.image=waveform, or choose an encoder of timm."
            )
        maps = self.body.maps(x)
        return maps[-1].mean(dim=(2, 3)), maps

    @torch.no_grad()
    def pyramid_shapes(self, size: int) -> list[tuple[int, int, int]]:
        """Returns (D, 1, T') of each level for waveforms of `size` samples."""
        training, weight = self.training, next(self.parameters())
        maps = self.eval().forward_pyramid(weight.new_zeros(1, self.channels, 1, size))
        self.train(training)
        return [(m.shape[1], m.shape[2], m.shape[3]) for m in maps]

    @property
    def first_layer(self) -> str:
        """State-dict key of the input layer's weight."""
        return "front.convs.0.weight"
