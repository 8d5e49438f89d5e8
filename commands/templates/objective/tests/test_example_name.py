import math

import pytest
import torch

from ssl_kit.testing import parametrize_with_checks
from ssl_kit_example_name.objective import alignment, uniformity


@parametrize_with_checks("objective", "example_name")
def test_keeps_to_the_contract(check):
    check()


@pytest.fixture
def pair():
    torch.manual_seed(0)
    z = torch.randn(2, 6, 3, dtype=torch.float64)
    return (z / z.norm(dim=2, keepdim=True)).unbind()


def test_alignment_agrees_with_its_definition(pair):
    squares = [math.dist(a, b) ** 2 for a, b in zip(*(z.tolist() for z in pair), strict=True)]
    assert alignment(*pair).item() == pytest.approx(sum(squares) / 6, abs=1e-12)


def test_uniformity_agrees_with_its_definition(pair):
    z = pair[0].tolist()
    potentials = [math.exp(-2.0 * math.dist(z[i], z[j]) ** 2) for i in range(6) for j in range(i)]
    expected = math.log(sum(potentials) / len(potentials))
    assert uniformity(pair[0], 2.0).item() == pytest.approx(expected, abs=1e-12)


def test_two_opposite_images_have_the_minimum():
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert uniformity(z, 2.0).item() == pytest.approx(-8)  # the squared distance is 4
    assert alignment(z, z).item() == 0
