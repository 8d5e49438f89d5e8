"""Every plugin of ours keeps to every rule for its kind."""

import pytest

from ssl_kit.testing import checks_for, everything
from ssl_kit.testing.kit import REGISTRIES

CHECKS = [
    pytest.param(check, id=f"{kind}-{name}-{check}")
    for kind, name in everything()
    if REGISTRIES[kind].entry(name).origin == "ssl-kit"
    for check in checks_for(kind, name)
]


@pytest.mark.parametrize("check", CHECKS)
def test_keeps_to_the_contract(check):
    check()
