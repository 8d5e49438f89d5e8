from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl_kit import UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData, paired_difference, paired_p_value
from ssl_kit.plugins.evaluations.leave_one_out import (
    LeaveOneOut,
    LeaveOneOutConfig,
    over_groups,
    scores_of,
)
from ssl_kit.plugins.evaluations.linear import Linear

MODEL = object()
STRENGTHS = (0.01, 1.0)


@pytest.fixture(scope="module")
def problem(memory_dataset):
    """Makes the data of some subjects, whose features know something of the class."""

    def make(labels, groups, skill=1.0, seed=0):
        rng = np.random.default_rng(seed)
        labels, groups = np.asarray(labels), np.asarray(groups)
        n = len(labels)
        dataset = memory_dataset(
            [np.zeros((8, 8, 1), np.uint8)] * n,
            labels=["abc"[k] if k >= 0 else "" for k in labels],
            groups=[f"s{g:02}" for g in groups],
        )
        subject = rng.normal(size=(groups.max() + 1, 6))[groups]
        features = rng.normal(size=(n, 6)) + skill * np.eye(6)[labels] + subject
        data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
        embedded = np.flatnonzero(labels >= 0)
        data._embedded[id(MODEL)] = (MODEL, features[embedded].astype(np.float32), embedded)
        return data

    return make


def two_classes(problem):
    """160 images of 8 subjects, 2 classes."""
    rng = np.random.default_rng(1)
    return problem(rng.integers(2, size=160), rng.permutation(np.arange(160) % 8))


@pytest.fixture
def data(problem):
    return two_classes(problem)


def evaluate(data, **options):
    config = LeaveOneOutConfig(**{"strengths": STRENGTHS, **options})
    return LeaveOneOut(config).evaluate(MODEL, data)


def spied(monkeypatch):
    """Returns a list that gets the rows of every training: learned from, asked, and C."""
    seen, original = [], Linear.predict

    def spy(self, found):
        seen.append((found.known, found.test, self.config.strengths))
        return original(self, found)

    monkeypatch.setattr(Linear, "predict", spy)
    return seen


@pytest.fixture
def fits(monkeypatch):
    """Rows of every training of a test."""
    return spied(monkeypatch)


@pytest.fixture(scope="module")
def evaluated(problem):
    """What an evaluation finds in `two_classes`, and its trainings, for all tests that read it."""
    with pytest.MonkeyPatch.context() as patch:
        seen = spied(patch)
        return evaluate(two_classes(problem)), seen


def restated(features, labels, groups):
    """Plain scikit-learn: (n, 2) probabilities and the C of each group."""
    said, chosen = np.zeros((len(labels), 2)), {}

    def fit(rows, c):
        head = LogisticRegression(C=c, max_iter=200)
        return make_pipeline(StandardScaler(), head).fit(features[rows], labels[rows])

    for known, out in LeaveOneGroupOut().split(features, labels, groups):
        likelihood = {}
        for c in STRENGTHS:
            inner = []
            for a, b in GroupKFold(5).split(known, groups=groups[known]):
                p = fit(known[a], c).predict_proba(features[known[b]])
                inner += [np.log(q[k]) for q, k in zip(p, labels[known[b]], strict=True)]
            likelihood[c] = np.mean(inner)
        best = max(STRENGTHS, key=lambda c: likelihood[c])
        said[out] = fit(known, best).predict_proba(features[out])
        chosen[int(groups[out[0]])] = best
    return said, chosen


def test_it_is_what_plain_scikit_learn_gives(data, evaluated):
    found, _ = evaluated
    index, (_, features, _) = data.dataset.index, data._embedded[id(MODEL)]
    labels, groups = index.labels, index.groups
    said, chosen = restated(features, labels, groups)
    assert {row["group"]: row["C"] for row in found.details["groups"]} == chosen
    predicted = said.argmax(axis=1)
    expected = {
        "accuracy": (predicted == labels).mean(),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "auroc": roc_auc_score(labels, said[:, 1]),
        "auroc_per_group": np.mean(
            [roc_auc_score(labels[groups == g], said[groups == g, 1]) for g in range(8)]
        ),
        "macro_f1_per_group": np.mean(
            [
                f1_score(labels[groups == g], predicted[groups == g], average="macro")
                for g in range(8)
            ]
        ),
    }
    for name, value in expected.items():
        assert found.metrics[name].value == pytest.approx(value, abs=1e-6), name


def test_nobody_is_learned_from_before_being_tested(data, evaluated):
    _, fits = evaluated
    groups = data.dataset.index.groups
    finals = [(known, test) for known, test, _ in fits if len(np.unique(groups[known])) == 7]
    assert sorted(np.concatenate([test for _, test in finals]).tolist()) == list(range(160))
    for known, test, _ in fits:
        assert not set(groups[known]) & set(groups[test])


def test_inner_folds_never_hold_the_one_left_out(data, evaluated):
    _, fits = evaluated
    groups = data.dataset.index.groups
    per_group = len(STRENGTHS) * 5 + 1
    assert len(fits) == 8 * per_group
    for start in range(0, len(fits), per_group):
        *inner, (_, out, _) = fits[start : start + per_group]
        for known, asked, _ in inner:
            assert not set(groups[out]) & (set(groups[known]) | set(groups[asked]))


def test_rows_of_groups_add_up_to_the_pooled_figure(evaluated):
    found, _ = evaluated
    rows = found.details["groups"]
    right = sum(row["accuracy"] * row["images"] for row in rows)
    assert right / 160 == pytest.approx(found.metrics["accuracy"].value)
    assert [row["accuracy"] for row in rows] == pytest.approx(found.by_group.tolist())
    mean = np.mean([row["accuracy"] for row in rows])
    assert found.metrics["accuracy_per_group"].value == pytest.approx(mean)
    deviation = found.details["between_groups"]["accuracy"]
    assert deviation["deviation"] == pytest.approx(np.std(found.by_group, ddof=1))


def test_shuffled_labels_give_chance(problem):
    rng = np.random.default_rng(3)
    data = problem(rng.integers(2, size=400), np.arange(400) % 8, skill=0)
    found = evaluate(data).metrics
    assert found["balanced_accuracy"].value == pytest.approx(0.5, abs=0.07)
    assert found["auroc_per_group"].value == pytest.approx(0.5, abs=0.07)


def test_a_group_of_one_class_counts_for_the_accuracy_alone(problem):
    groups, labels = np.arange(80) % 4, np.arange(80) // 4 % 2
    labels[groups == 2] = 1
    found = evaluate(problem(labels, groups))
    assert found.details["remarks"] == [
        "1 of 4 groups has a single class and counts for the accuracy only (groups 2).",
    ]
    assert "auroc" not in found.details["groups"][2]
    assert found.details["between_groups"]["auroc"]["groups"] == 3
    assert len(found.by_group) == 4
    assert np.isfinite(found.metrics["auroc_per_group"].value)


def test_two_encoders_are_paired_by_group(data, evaluated):
    first, _ = evaluated
    data._embedded[id(MODEL)][1][:] = np.random.default_rng(9).normal(size=(160, 6))
    second = evaluate(data)
    gain = paired_difference(first, second, first.main)
    apart = first.by_group - second.by_group
    assert gain.value == pytest.approx(apart.mean())
    assert gain.low > 0
    assert paired_p_value(first, second, first.main) < 0.05


def test_only_groups_of_the_test_part_are_left_out_where_asked_for(problem, fits):
    data = problem(np.arange(200) // 20 % 2, np.arange(200) % 20)
    found = evaluate(data, among="test")
    groups = data.dataset.index.groups
    assert {row["group"] for row in found.details["groups"]} == set(groups[data.splits.test])
    assert max(len(np.unique(groups[known])) for known, _, _ in fits) == 19


def test_groups_that_were_pretrained_on_are_learned_from_and_not_left_out(problem, fits):
    data = problem(np.arange(200) // 20 % 2, np.arange(200) % 20)
    index = data.dataset.index
    seen = frozenset(index.group_hashes(np.flatnonzero(index.groups < 14)))
    found = evaluate(replace(data, pretrained_on=seen), strengths=(1.0,))
    assert [row["group"] for row in found.details["groups"]] == list(range(14, 20))
    assert max(len(np.unique(index.groups[known])) for known, _, _ in fits) == 19
    assert found.details["remarks"] == [
        "6 of 20 labeled groups are left out in turn. The run was pre-trained on 14 of the others, "
        "without their labels; the probe learns from all others."
    ]
    everybody = frozenset(index.group_hashes())
    with pytest.raises(UsageError, match=r"not pre-trained on are needed, not of 0\."):
        evaluate(replace(data, pretrained_on=everybody))


def test_grades_are_judged_by_the_quadratic_kappa_of_all_predictions(problem):
    data = problem(np.arange(160) % 3, np.arange(160) // 20)
    quick = {"folds": 2, "strengths": (1.0,)}
    found, plain = evaluate(data, classes_order=("b", "a", "c"), **quick), evaluate(data, **quick)
    assert (found.main, plain.main) == ("quadratic_kappa", "accuracy_per_group")
    assert found.metrics["accuracy"] == plain.metrics["accuracy"]
    apart = [row["mean_absolute_error"] for row in found.details["groups"]]
    assert found.metrics["mean_absolute_error_per_group"].value == pytest.approx(np.mean(apart))
    confusion = np.array(found.details["confusion"])
    distance = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    assert found.metrics["mean_absolute_error"].value == pytest.approx(
        (confusion * distance).sum() / 160
    )


def test_folds_of_groups_test_each_image_once(data, fits):
    found = evaluate(data, folds=3, strengths=(1.0,))
    assert len(fits) == 3
    assert np.sum(found.details["confusion"]) == 160
    assert len(found.details["groups"]) == 8


def test_images_without_label_are_left_alone(problem):
    labels = np.where(np.arange(120) % 3 == 0, -1, np.arange(120) % 2)
    found = evaluate(problem(labels, np.arange(120) // 20))
    assert np.sum(found.details["confusion"]) == 80


def test_labels_that_were_held_back_are_refused(data, fits):
    with pytest.raises(UsageError, match="learns from labels of the test part too"):
        evaluate(data.limited(data.parts.train[:20]))
    assert not fits


@pytest.mark.parametrize(
    ("labels", "groups", "said"),
    [
        ([0, 1] * 10, [0] * 20, "labeled images of at least two groups are needed, not of 1"),
        ([-1] * 20, [0, 1] * 10, "An evaluation needs labeled images"),
        ([0] * 20, [0, 1] * 10, "labels of at least two classes"),
        (
            [0] * 10 + [0, 1] * 5,
            [0] * 10 + [1] * 10,
            "Without one of the groups all labeled images are of one class",
        ),
    ],
)
def test_what_cannot_be_done_is_said_plainly(problem, labels, groups, said):
    with pytest.raises(UsageError, match=said):
        evaluate(problem(labels, groups))


def test_scores_of_three_classes_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(3, size=50), rng.dirichlet(np.ones(3), size=50)
    found = scores_of(labels, answers)
    areas = roc_auc_score(labels, answers, multi_class="ovr")
    assert found["auroc"] == pytest.approx(areas)
    expected = balanced_accuracy_score(labels, answers.argmax(axis=1))
    assert found["balanced_accuracy"] == pytest.approx(expected)


def test_interval_over_groups_is_about_the_normal_one():
    values = np.random.default_rng(0).normal(0.7, 0.1, 100)
    found = over_groups({g: {"auroc": v} for g, v in enumerate(values)}, "auroc")
    half = 1.96 * values.std() / 10
    assert found.metrics["auroc"].low == pytest.approx(values.mean() - half, abs=half / 5)


def test_images_without_subjects_are_not_called_subjects(problem):
    alone = problem(np.arange(24) % 2, np.arange(24))
    assert "No subjects are declared" in evaluate(alone, folds=4).details["remarks"][0]
    together = problem(np.arange(24) % 2, np.arange(24) // 2 % 6)
    assert not any("declared" in each for each in evaluate(together).details["remarks"])
