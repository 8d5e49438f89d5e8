from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ssl_kit import Batch, UsageError
from ssl_kit.nn import create_encoder, span_mask
from ssl_kit.testing import checks_for
from ssl_kit_audio.cepstra import deltas, mfcc
from ssl_kit_audio.frames import heard
from ssl_kit_audio.hubert import Hubert, HubertConfig
from ssl_kit_audio.spectra import mel_filters
from ssl_kit_audio.waveform_encoder import WaveformEncoder


def make(**options: Any) -> Hubert:
    torch.manual_seed(0)
    config = HubertConfig(**{"clusters": (5, 4), "rate": 8000, **options})
    return Hubert(create_encoder("waveform/tiny", 1, 1600), config)


def waves(count: int = 4) -> Batch:
    torch.manual_seed(1)
    hertz = torch.linspace(200, 2000, count)[:, None]
    x = torch.sin(2 * math.pi * hertz * torch.arange(1600) / 8000) + 0.1 * torch.randn(count, 1600)
    none = torch.zeros(count, dtype=torch.long)
    return Batch((x[:, None, None],), none, none, none[:, None], ())


def slow_cepstra(x: np.ndarray, frames: int, rate: int) -> np.ndarray:
    """A frame and a coefficient at a time; windows of 2.5 frames, centered on the frame."""
    hop = len(x) // frames
    length = round(2.5 * hop)
    size = 2 ** math.ceil(math.log2(length))
    filters = mel_filters(np.fft.rfftfreq(size, 1 / rate), 40, rate / 2)
    window = np.zeros(size)
    begin = (size - length) // 2
    window[begin : begin + length] = [
        0.5 - 0.5 * math.cos(2 * math.pi * n / length) for n in range(length)
    ]
    padded = np.concatenate([np.zeros(size // 2 - hop // 2), x, np.zeros(size)])
    rows = []
    for t in range(frames):
        power = np.abs(np.fft.rfft(window * padded[t * hop : t * hop + size])) ** 2
        bands = [math.log((weights * power).sum() + 1e-6) for weights in filters]
        row = []
        for k in range(13):
            scale = math.sqrt((1 if k == 0 else 2) / 40)
            terms = [b * math.cos(math.pi / 40 * (n + 0.5) * k) for n, b in enumerate(bands)]
            row.append(scale * sum(terms))
        rows.append(row)
    return np.array(rows)


def test_cepstra_agree_with_a_slow_restatement() -> None:
    x = np.random.default_rng(0).normal(size=800)
    found = mfcc(torch.from_numpy(x)[None, None, None], 10, 8000)[0, :, :13]
    assert np.abs(found.numpy() - slow_cepstra(x, 10, 8000)).max() < 1e-3


@pytest.mark.parametrize("samples", [800, 80_000])  # of 10 frames; windows have 4,096 at most
def test_a_click_is_loudest_in_the_frame_that_it_is_in(samples: int) -> None:
    clicks = torch.zeros(10, 1, 1, samples)
    for frame in range(10):
        clicks[frame, 0, 0, round((frame + 0.5) * samples / 10)] = 1
    assert mfcc(clicks, 10, 8000)[:, :, 0].argmax(dim=1).tolist() == [*range(10)]


def test_deltas_are_slopes() -> None:
    x = torch.arange(10.0)[None, None]
    assert deltas(3 * x)[0, 0, 2:-2].tolist() == pytest.approx([3] * 6)


def test_spans_mask_about_half_and_never_all_or_nothing() -> None:
    torch.manual_seed(0)
    mask = span_mask(500, 100, 0.08, 10, torch.zeros(1))
    assert 0.5 < mask.float().mean() < 0.6  # 1 - 0.92^10 = 0.57
    for start in (1e-6, 0.999):
        mask = span_mask(50, 12, start, 10, torch.zeros(1))
        assert mask.any(dim=1).all()
        assert (~mask).any(dim=1).all()


def test_later_iterations_cluster_frames_of_the_encoder() -> None:
    objective = make()
    objective(waves())
    first = objective.targets(waves().views[0])
    objective.after_step(1, 2)
    assert objective.iteration == 1
    objective(waves())
    second = objective.targets(waves().views[0])
    assert first.shape == second.shape == (4, 20)
    assert objective.get_buffer("centers1").abs().sum() > 0


def test_different_tones_have_different_clusters() -> None:
    objective = make(clusters=(4,))
    targets = objective.targets(waves().views[0])
    assert targets[0, 10] != targets[3, 10]


def test_the_frozen_encoder_has_no_dropout() -> None:
    objective = make().train()
    objective.after_step(1, 2)
    x = waves().views[0]
    torch.testing.assert_close(objective.describe(x), objective.describe(x))


def test_it_works_on_pictures_too() -> None:
    torch.manual_seed(0)
    objective = Hubert(create_encoder("test_resnet", 1, 64), HubertConfig(clusters=(5, 4)))
    none = torch.zeros(3, dtype=torch.long)
    batch = Batch((torch.randn(3, 1, 64, 64),), none, none, none[:, None], ())
    assert objective(batch).loss.isfinite()


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="has only 3 levels"):
        make(layer=7)


def test_pictures_are_refused_by_encoders_of_waveforms() -> None:
    with pytest.raises(UsageError, match="image=waveform"):
        WaveformEncoder("tiny", 1, 800).forward_map(torch.zeros(1, 1, 64, 64))


def test_the_base_size_has_the_frames_of_the_paper() -> None:
    with torch.device("meta"):
        encoder = WaveformEncoder("base", 1, 16000)
    count = sum(p.numel() for p in encoder.parameters())
    assert 89e6 < count < 97e6  # 95 million in table I of HuBERT


LONG = ("features_are_trained", "processes_agree")
CHECKS = [
    pytest.param(check, id=str(check), marks=[pytest.mark.slow] * (str(check) in LONG))
    for check in checks_for("objective", "hubert")
]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Any) -> None:
    check()


def test_encoder() -> None:
    for check in checks_for("encoder", "waveform"):
        check()


def test_frames_are_heard_where_the_signal_changes() -> None:
    x = torch.full((2, 1, 1, 80), 0.3)
    x[0, 0, 0, 20:45] = torch.randn(25)
    assert heard(x, 8).tolist() == [
        [False, True, True, True, True, False, False, False],
        [False] * 8,
    ]


def test_what_fills_a_recording_up_counts_neither_for_loss_nor_clusters() -> None:
    batch = waves()
    batch.views[0][..., 800:] = 0.3
    made = make()
    predicted = {}
    made.head.register_forward_hook(lambda *args: predicted.update(x=args[2]))
    output = made(batch)
    assert 0 < output.metrics["largest_cluster"] < 0.6  # with the filling: more than half
    gradient = torch.autograd.grad(output.loss, predicted["x"])[0]
    assert gradient[:, 11:].abs().max() == 0
    assert gradient[:, :10].abs().max() > 0
