"""The conformance kit: what every plugin must keep to, as plain functions.

From the command line:

    ssl-kit plugin check simclr
    ssl-kit plugin check --all

From a test of your own:

    from ssl_kit.testing import parametrize_with_checks

    @parametrize_with_checks("objective", "mirror_ball")
    def test_conformance(check):
        check()

Rules cannot see wrong mathematics: test your equations against a slow restatement as well.
"""

from __future__ import annotations

from .kit import (
    Check,
    CheckFailed,
    Outcome,
    checks_for,
    everything,
    find,
    parametrize_with_checks,
    run_checks,
    summary,
)

__all__ = [
    "Check",
    "CheckFailed",
    "Outcome",
    "checks_for",
    "everything",
    "find",
    "parametrize_with_checks",
    "run_checks",
    "summary",
]
