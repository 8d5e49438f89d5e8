"""Against NumPy and SciPy, one signal at a time."""

import numpy as np
import pytest
import torch
from scipy.signal import periodogram

from ssl_kit.nn import signal_descriptors
from ssl_kit.nn.weights import create_encoder

LENGTH = 96


def slow(y):
    time = np.linspace(-0.5, 0.5, len(y))
    slope, mean = np.polyfit(time, y, 1)
    activity, faster, fastest = (np.diff(y, n).var() for n in range(3))
    mobility = np.sqrt(faster / activity)
    moments = [activity, mobility, np.sqrt(fastest / faster) / mobility]
    frequency, power = periodogram(
        y - np.polyval([slope, mean], time), window="hann", detrend=False, scaling="spectrum"
    )
    power[1 : None if len(y) % 2 else -1] /= 2  # one-sided, except for 0 and Nyquist
    octaves = [
        power[(frequency > 0.5**n / 4) & (frequency <= 0.5**n / 2)].sum() / power.sum()
        for n in range(6)
    ]
    return [mean, slope, *np.log10([*moments, *octaves])]


@pytest.mark.parametrize("length", [LENGTH, LENGTH + 1])
def test_statistics_are_those_of_numpy_and_scipy(length):
    x = torch.randn(2, 3, 1, length, generator=torch.manual_seed(0)).cumsum(dim=-1).double()
    expected = [
        [value for channel in signal[:, 0] for value in slow(channel)] for signal in x.numpy()
    ]
    assert torch.allclose(signal_descriptors(x), torch.tensor(expected).to(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("octave", range(4))
def test_an_oscillation_is_in_its_octave(octave):
    wave = torch.sin(torch.arange(256.0) * torch.pi * 0.75 / 2**octave)
    shares = signal_descriptors(wave.expand(1, 1, 1, -1))[0, 5:]
    assert int(shares.argmax()) == octave


def test_a_signal_that_does_not_change_has_finite_descriptors():
    assert signal_descriptors(torch.ones(2, 3, 1, LENGTH)).isfinite().all()


def test_the_encoder_of_statistics_says_how_many_there_are():
    encoder = create_encoder("handcrafted/statistics", 3, LENGTH)
    assert encoder(torch.randn(2, 3, 1, LENGTH)).shape == (2, encoder.num_features)
