import pytest

from ssl_kit.reports.kept import candidate_words, kept_sentences

MANIFEST = {
    "verdict": "OK", "seconds": 9000, "epochs": 90, "steps": 2,
    "config": {"optimizer": {"lr": 0.002}, "train": {"keep": "best"}, "encoder": {}},
}  # fmt: skip


def selection(end, cka=0.8, kept=("checkpoint", 0.0), gain=(0.0, 0.0, 0.0)):
    """What a run says that kept an encoder, with the gain of its end as value, low and high."""

    def estimate(values):
        return dict(zip(("value", "low", "high"), values, strict=True))

    last = {"kind": "checkpoint", "share": 1.0, "gain": estimate(end), "cka": cka}
    return {
        "kept": {"kind": kept[0], "share": kept[1]}, "gain": estimate(gain), "candidates": [last],
        "images": 200, "groups": 61, "weights_changed": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("end", "cka", "reason"),
    [
        ((-0.05, -0.09, -0.01), 0.5, "Lower optimizer.lr (it is 0.002; try 0.0005)"),
        ((0.0, -0.01, 0.01), 0.99, "the encoder hardly changed"),
        ((-0.095, -0.266, 0.081), 0.32, "200 images cannot tell a difference of this size"),
        ((0.01, -0.05, 0.07), 0.8, "200 images cannot tell a difference of this size"),
    ],
)
def test_a_run_that_gained_nothing_says_why_that_may_be(end, cka, reason):
    text = " ".join(kept_sentences(selection(end, cka), MANIFEST))
    assert text.startswith("Kept: the start, because no encoder")
    assert reason in text


def test_a_training_of_few_steps_is_said_to_have_changed_nothing():
    values = {**selection((-0.08, -0.3, 0.1), 0.93), "weights_changed": 2e-7}
    text = " ".join(kept_sentences(values, MANIFEST))
    assert "2 steps hardly changed the weights; what changed are at most the statistics" in text
    config = {**MANIFEST["config"], "encoder": {"frozen_statistics": True}}
    text = " ".join(kept_sentences(values, {**MANIFEST, "config": config}))
    assert "2 steps hardly changed the weights. Give more time" in text


def test_a_gain_is_told_with_its_interval():
    better = selection((0, 0, 0), kept=("interpolation", 0.5), gain=(0.041, 0.01, 0.072))
    first, seen, second = kept_sentences(better, MANIFEST)
    assert first.startswith("Kept: halfway from start to end (interpolated weights); +4.1 points")
    assert "[+1.0, +7.2]" in first
    assert "Pre-training saw these images" in seen
    assert "end.safetensors" in second


def test_images_that_were_kept_out_of_the_training_are_not_called_seen():
    better = selection((0, 0, 0), kept=("interpolation", 0.5), gain=(0.041, 0.01, 0.072))
    out = {**MANIFEST, "config": {**MANIFEST["config"], "data": {"keep_out": "val"}}}
    assert "saw these images" not in " ".join(kept_sentences(better, out))


def test_what_was_not_judged_is_told_with_its_drift():
    reason = {"kept": {}, "reason": "the images have no labels", "weights_changed": 0.1, "cka": 0.7}
    assert "no labels" in kept_sentences(reason, MANIFEST)[0]
    assert "random weights" in kept_sentences({}, MANIFEST)[0]
    assert candidate_words({"kind": "checkpoint", "share": 0.5}).endswith("50 % of the training")


@pytest.mark.parametrize(
    ("share", "gain", "words"),
    [
        (0.0, (-0.4, -0.5, -0.3), "Kept: the start, because training seems to have made it worse"),
        (1.0, (0.1, 0.05, 0.15), "Where this share rose, encoders were seldom worse"),
        (1.0, (0.0, -0.05, 0.05), "This is no evidence that the end is better or worse"),
    ],
)
def test_without_labels_it_is_told_how_often_views_are_found(share, gain, words):
    found = {"start": {"value": 0.6}, "end": {"value": 0.6 + gain[0]}}
    values = {
        "kept": {"kind": "checkpoint", "share": share}, "reason": "the images have no labels",
        "images": 200, "weights_changed": 0.1, "cka": 0.7,
        "view_retrieval": {**found, "gain": dict(zip(("value", "low", "high"), gain, strict=True))},
    }  # fmt: skip
    text = " ".join(kept_sentences(values, MANIFEST))
    assert words in text
    assert "by those of the start in 60 %" in text
    assert "(the images have no labels)" in text


def test_a_run_of_an_earlier_version_without_labels_has_its_drift():
    values = {"kept": {"kind": "checkpoint", "share": 1.0}, "reason": "the images have no labels",
              "images": 200, "weights_changed": 0.1, "cka": 0.7}  # fmt: skip
    assert "Drift from the start" in " ".join(kept_sentences(values, MANIFEST))
