"""Every plugin of ours keeps to every rule for its kind.

The rules that take longest are slow for objectives that are built like one of `QUICK`.
"""

import pytest

from ssl_kit.testing import checks_for, everything
from ssl_kit.testing.kit import REGISTRIES

QUICK = {
    "byol": "a teacher and a predictor",
    "combination": "parts",
    "deepcluster": "clusters of a memory",
    "densecl": "maps and a queue",
    "dino": "a teacher and small crops",
    "ijepa": "a teacher of tokens",
    "mae": "masked tokens",
    "moco": "a teacher and a queue",
    "rotation": "a pretext task",
    "simclr": "comparisons across the batch",
    "spark": "masked maps",
    "swav": "prototypes and a queue",
}
LONG = ("features_are_trained", "processes_agree")


def slow(kind, name, check):
    return kind == "objective" and name not in QUICK and str(check) in LONG


CHECKS = [
    pytest.param(
        check, id=f"{kind}-{name}-{check}", marks=[pytest.mark.slow] * slow(kind, name, check)
    )
    for kind, name in everything()
    if REGISTRIES[kind].entry(name).origin == "ssl-kit"
    for check in checks_for(kind, name)
]


def test_the_quick_objectives_and_the_long_rules_exist():
    names = {f"{check}" for check in checks_for("objective", "simclr")}
    assert names >= set(LONG)
    assert set(REGISTRIES["objective"]) >= set(QUICK)


@pytest.mark.parametrize("check", CHECKS)
def test_keeps_to_the_contract(check):
    check()
