"""The wording of which encoder a run hands back, and why.

The terminal and the report of a run use the same words. The numbers come from `selection.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..training.candidates import START
from .words import estimate_parts, plural, short_training

_WAYS = {0.25: "a quarter of the way", 0.5: "halfway", 0.75: "three quarters of the way"}
_UNCHANGED, _COARSE, _UNTRAINED = 0.95, 0.03, 1e-3


def candidate_words(candidate: Mapping[str, Any]) -> str:
    """Names an encoder: "the start", "halfway from start to end (interpolated weights)"."""
    share = candidate["share"]
    if candidate["kind"] == "interpolation":
        way = _WAYS.get(share, f"{100 * share:.0f} % of the way")
        return f"{way} from start to end (interpolated weights)"
    if share in (0, 1):
        return "the end of training" if share else "the start"
    return f"the encoder after {100 * share:.0f} % of the training"


def kept_sentences(selection: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """Says which encoder was kept, and how much better it is than the start.

    Args:
        selection: Content of selection.json; empty if nothing was measured.
        manifest: Content of manifest.json.
    """
    if not selection:
        return [_not_compared(manifest)]
    kept, published = selection["kept"], _published(selection.get("published"))
    if "candidates" not in selection:
        return _without_labels(selection, manifest)
    judged = (
        f"by a linear probe on {plural(selection['images'], 'image')} of "
        f"{plural(selection['groups'], 'group')} outside of the test part"
    )
    if kept["kind"] == "checkpoint" and not kept["share"]:
        return [*_nothing_gained(selection, judged), *published, *_reasons(selection, manifest)]
    value, ends = estimate_parts(selection["gain"], signed=True)
    sentences = [
        f"Kept: {candidate_words(kept)}; {value} points {ends} of balanced accuracy over the "
        f"start, {judged} that the choice did not use."
    ]
    if selection["gain"]["low"] is None or selection["gain"]["low"] <= 0:
        sentences.append("The interval includes zero: the gain may be due to chance.")
    if manifest["config"].get("data", {}).get("keep_out") != "val":
        sentences.append(
            "Pre-training saw these images, without their labels: 'ssl-kit evaluate' measures the "
            "gain on images that it did not see."
        )
    return [*sentences, *published, *_end(selection)]


def _without_labels(selection: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """Says whether start or end was kept by the retrieval of views, and what this is worth."""
    drift, how = _drift(selection, selection["cka"]), f"without labels ({selection['reason']})"
    advice = "Evaluate it beside its start on labeled images before you use it."
    if "view_retrieval" not in selection:  # of a run of an earlier version
        return [f"Kept: the end of training, {how}.", drift, advice]
    found, lr = selection["view_retrieval"], manifest["config"]["optimizer"]["lr"]
    value, ends = estimate_parts(found["gain"], signed=True)
    before, after = (100 * found[name]["value"] for name in ("start", "end"))
    measured = (
        f"Of {plural(selection['images'], 'image')}, another random view is found by the features "
        f"of the end in {after:.0f} %, by those of the start in {before:.0f} % ({value} points "
        f"{ends})"
    )
    if selection["kept"] == START.facts():
        return [
            f"Kept: the start, because training seems to have made it worse, judged {how}.",
            f"{measured}. Where this share fell, encoders were mostly worse by labels too "
            "(docs/label_free.md). The end is in checkpoints/end.safetensors.",
            f"Lower optimizer.lr (it is {lr:g}; try {lr / 4:.2g}), or choose another objective.",
            drift,
        ]
    rose = found["gain"]["low"] is not None and found["gain"]["low"] > 0
    meaning = (
        "Where this share rose, encoders were seldom worse by labels (docs/label_free.md)"
        if rose
        else "This is no evidence that the end is better or worse"
    )
    return [f"Kept: the end of training, judged {how}.", f"{measured}. {meaning}.", drift, advice]


def _published(start: Mapping[str, Any] | None) -> list[str]:
    """Compares the start as it was published with what is kept; [] if both pool the same."""
    if not start:
        return []
    value, ends = estimate_parts(start["gain"], signed=True)
    advice = " Use it as it is, or another objective." if start["gain"]["value"] > 0 else ""
    return [
        f"Here features are {start['pooling']}, in the start as well. Pooled as it was published, "
        f"the start has {value} points {ends} against what is kept.{advice}"
    ]


def _not_compared(manifest: Mapping[str, Any]) -> str:
    if manifest["config"]["train"].get("keep") == "last":
        return "Kept: the end of training, as train.keep=last asks for."
    return "Kept: the end of training. A run from random weights has no better start."


def _nothing_gained(selection: Mapping[str, Any], judged: str) -> list[str]:
    end = next(c for c in selection["candidates"] if c["kind"] == "checkpoint" and c["share"] == 1)
    value, ends = estimate_parts(end["gain"], signed=True)
    return [
        "Kept: the start, because no encoder of this training was measurably better, "
        f"{judged}. Nothing was gained.",
        f"The end of training has {value} points {ends} of balanced accuracy against the start; "
        "it is in checkpoints/end.safetensors.",
    ]


def _end(selection: Mapping[str, Any]) -> list[str]:
    if selection["kept"] == {"kind": "checkpoint", "share": 1.0}:
        return []
    return ["The encoder at the end of training is in checkpoints/end.safetensors."]


def _drift(selection: Mapping[str, Any], cka: float | None) -> str:
    changed = f"{100 * selection['weights_changed']:.1f} % of their norm"
    similar = "" if cka is None else f"; linear CKA of the features: {cka:.2f} (1 is unchanged)"
    return f"Drift from the start: the weights changed by {changed}{similar}."


def _reasons(selection: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """Returns likely reasons why nothing was gained, each as a sentence."""
    end = next(c for c in selection["candidates"] if c["kind"] == "checkpoint" and c["share"] == 1)
    gain, lr = end["gain"], manifest["config"]["optimizer"]["lr"]
    sentences = [_drift(selection, end["cka"])]
    if manifest["verdict"] != "OK":
        sentences.append(f"The collapse watch says {manifest['verdict']}; see its remedy.")
    if selection["weights_changed"] < _UNTRAINED:
        frozen = manifest["config"]["encoder"].get("frozen_statistics", False)
        moved = "; what changed are at most the statistics of batch normalization"
        sentences.append(
            f"Likely reason: {plural(manifest['steps'], 'step')} hardly changed the weights"
            f"{'' if frozen else moved}. Give more time, or a smaller --batch-size."
        )
    elif gain["high"] is not None and gain["high"] < 0:
        sentences.append(
            "Likely reason: the training replaced what the start knew. Lower optimizer.lr (it is "
            f"{lr:g}; try {lr / 4:.2g}), weaken the views, or choose another objective."
        )
    elif end["cka"] is not None and end["cka"] > _UNCHANGED:
        sentences.append(
            "Likely reason: the encoder hardly changed. Train longer, or raise optimizer.lr "
            f"(it is {lr:g})."
        )
    elif gain["high"] is not None and gain["high"] - gain["value"] > _COARSE:
        sentences.append(
            f"Likely reason: {plural(selection['images'], 'image')} cannot tell a difference of "
            "this size. More labels would; a longer training is also judged by more images."
        )
    short = short_training({name: manifest[name] for name in ("seconds", "epochs")})
    return [*sentences, *([short] if short else [])]
