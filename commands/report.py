"""The texts that commands end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ssl_kit.core.errors import UsageError
from ssl_kit.core.evaluation import Comparison
from ssl_kit.core.run import Run


def refuse_with_resume(flags: Mapping[str, Any], *others: object) -> None:
    """Raises UsageError if settings are given to a run that already has its own."""
    if any(value is not None for value in flags.values()) or any(others):
        raise UsageError("--resume goes on with the settings of the run; give no others beside it.")


def trained(run: Run, verdict: str) -> str:
    """Says where the encoder is, how to load it, and what to do next."""
    facts = run.read_json("encoder.json")
    manifest = run.read_json("manifest.json")
    skipped = manifest["skipped"]
    arguments = ", ".join(f"{name}={value}" for name, value in facts["arguments"].items())
    lines = [
        f"Collapse watch: {verdict}."
        + (f" {skipped} images were skipped, see {run.skipped}." if skipped else ""),
        f"The encoder is in {run.encoder}. Load it with",
        f'    timm.create_model("{facts["architecture"]}", {arguments}, '
        f'checkpoint_path="{run.encoder}")',
        "Did it help? Ask",
        f"    ssl-kit evaluate {run.folder}",
    ]
    return "\n".join(lines)


def evaluation_json(comparisons: Sequence[Comparison], shared: int) -> dict[str, Any]:
    """Returns everything that was found as plain values."""
    return {
        "overlapping_groups": shared,
        "protocols": {
            c.protocol: {
                "models": {name: result.to_json() for name, result in c.results.items()},
                "gain": asdict(c.gain) if c.gain else None,
            }
            for c in comparisons
        },
    }


def evaluation(comparisons: Sequence[Comparison], shared: int) -> str:
    """Returns a table of estimates in percent with 95 % intervals."""
    lines = ["percent, with 95 % bootstrap intervals over groups"]
    if shared:
        lines.append(
            f"WARNING: {shared} test groups were pre-trained on; these figures flatter the run."
        )
    for c in comparisons:
        lines.append("")
        metrics = list(next(iter(c.results.values())).metrics)
        lines.append(f"{c.protocol:<24}" + "".join(f"{name:<24}" for name in metrics))
        for name, result in c.results.items():
            cells = "".join(f"{result.metrics[metric]!s:<24}" for metric in metrics)
            lines.append(f"  {name[:22]:<22}{cells}".rstrip())
        if c.gain:
            lines.append(f"  {'gain in accuracy':<22}{c.gain!s}: {_verdict(c)}")
    return "\n".join(lines)


def _verdict(comparison: Comparison) -> str:
    gain = comparison.gain
    if gain is None or gain.low <= 0 <= gain.high:
        return "no evidence of a difference"
    return "pre-training helped" if gain.low > 0 else "pre-training hurt"
