import re
from dataclasses import replace

import numpy as np
import pytest

from ssl_kit import Index, UsageError
from ssl_kit.data.opening import DataConfig
from ssl_kit.data.splits import labeled_parts, more_groups, split
from ssl_kit.data.targets import of_classes


def indexed(n=100, classes=4, per_group=1, **columns):
    names = {"labels": [f"c{(i // per_group) % classes}" for i in range(n)], **columns}
    if per_group > 1:
        names["groups"] = [f"g{i // per_group}" for i in range(n)]
    return Index.build([f"{i}.png" for i in range(n)], **names)


def test_every_image_is_in_one_part():
    parts = split(indexed(), 0.2)
    joined = np.concatenate([parts.train, parts.val, parts.test])
    assert sorted(joined) == list(range(100))
    assert (len(parts.test), len(parts.val)) == (20, 20)


def test_parts_are_stratified_by_label():
    index = indexed(n=200)
    parts = split(index, 0.2)
    assert np.bincount(index.labels[parts.test]).tolist() == [10] * 4
    assert np.bincount(index.labels[parts.val]).tolist() == [10] * 4


def test_classes_choose_among_the_positions_given():
    index = indexed()
    chosen = of_classes(index, np.arange(50), ("c1", "c3"))
    assert chosen.tolist() == [i for i in range(50) if i % 4 in (1, 3)]
    assert of_classes(index, np.arange(50), ()).tolist() == list(range(50))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("c33",), r"no class 'c33'. Did you mean 'c3'\? They have c0, c1, c2, c3"),
        (("c3",), r"No image of data.classes \(c3\) is outside of the test part"),
    ],
)
def test_classes_that_choose_nothing_are_refused(classes, message):
    with pytest.raises(UsageError, match=message):
        of_classes(indexed(), np.arange(3), classes)


def test_classes_of_unlabeled_images_are_refused():
    index = Index.build(["a.png", "b.png"])
    with pytest.raises(UsageError, match="these images have no classes"):
        of_classes(index, np.arange(2), ("c0",))


def test_no_group_is_shared():
    index = indexed(n=300, per_group=5)
    parts = split(index, 0.2)
    groups = [set(index.groups[part]) for part in (parts.train, parts.val, parts.test)]
    assert all(groups)
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]


def test_a_large_group_is_no_part_of_its_own_if_there_are_others():
    groups = ["large"] * 40 + [f"g{i // 10}" for i in range(90)]
    index = indexed(130, classes=2, groups=groups)
    parts = split(index, 0.25)
    assert len(set(index.groups[parts.test])) > 1
    assert len(set(index.groups[parts.val])) > 1


def test_it_depends_on_the_data_and_the_share_only():
    np.random.seed(1)
    first = split(indexed(), 0.2)
    np.random.seed(2)
    assert first.test.tolist() == split(indexed(), 0.2).test.tolist()
    assert len(split(indexed(), 0.5).test) == 50


def test_a_declared_split_wins():
    splits = ["test"] * 10 + ["val"] * 10 + ["train"] * 80
    parts = split(indexed(splits=splits), 0.2)
    assert parts.test.tolist() == list(range(10))
    assert parts.val.tolist() == list(range(10, 20))


def test_a_declared_test_part_gets_a_drawn_validation_part():
    parts = split(indexed(splits=["test"] * 20 + [""] * 80), 0.5)
    assert parts.test.tolist() == list(range(20))
    assert len(parts.val) == 20


def test_without_labels_everything_is_for_training():
    parts = split(Index.build([str(i) for i in range(50)]), 0.2)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (50, 0, 0)


def test_holdout_0_keeps_no_test_part():
    parts = split(indexed(), 0.0)
    assert len(parts.test) == 0
    assert len(parts.train) == 75


def test_a_class_too_small_to_share_leaves_no_test_part():
    index = Index.build([str(i) for i in range(12)], labels=["a"] * 10 + ["b"] * 2)
    assert len(split(index, 0.2).test) == 0


def test_a_rare_class_does_not_prevent_the_split_of_the_others():
    index = Index.build([str(i) for i in range(41)], labels=["cat"] * 20 + ["dog"] * 20 + ["yeti"])
    parts = split(index, 0.2)
    assert len(parts.test) == 8
    assert 40 in parts.train
    assert "'yeti' is too rare to be tested" in parts.remarks[0]


def test_nothing_held_out_says_why():
    index = Index.build([str(i) for i in range(20)], labels=["a", "b"] * 10, groups=["one"] * 20)
    assert "5 groups are needed, and the labeled images have 1" in split(index, 0.2).remarks[0]


def test_too_few_groups_name_the_share_that_works():
    index = indexed(40, classes=2, per_group=10)
    (warning,) = split(index, 0.2).warnings
    assert "5 groups are needed, and the labeled images have 4" in warning
    assert "--holdout 0.25 needs 4 of them, and the evaluation 'leave_one_out'" in warning
    assert len(split(index, 0.25).test) == 10


@pytest.mark.parametrize("slides", [1, 2])
def test_shares_that_lead_nowhere_are_not_advised(slides):
    labels = [f"class{i % slides % 2}" for i in range(30)]
    index = Index.build(
        [str(i) for i in range(30)], labels=labels, groups=[str(i % slides) for i in range(30)]
    )
    (warning,) = split(index, 0.2).warnings
    assert "--holdout" not in warning
    assert "leave_one_out" not in warning
    assert "Label more groups; pre-training, 'ssl-kit embed'" in warning


def test_the_share_that_is_advised_leaves_two_classes_to_learn_from():
    index = indexed(80, labels=[f"c{i // 20 % 2}" for i in range(80)], per_group=20)
    (warning,) = split(index, 0.2).warnings
    share = float(re.search(r"--holdout ([\d.]+)", warning).group(1))
    parts = split(index, share)
    assert len(parts.test)
    assert len(set(index.labels[~np.isin(np.arange(80), parts.test)].tolist())) == 2


def test_more_groups_are_advised_with_a_share_that_gives_them():
    index = indexed(200, classes=2, per_group=10)
    assert more_groups(index, 6) == "Choose --holdout 0.33, or declare more, smaller groups."
    assert len(np.unique(index.groups[split(index, 0.33).test])) >= 6
    eight = indexed(80, classes=2, per_group=10)
    assert more_groups(eight, 6) == "Choose --holdout 0.75, or declare more, smaller groups."
    assert len(np.unique(eight.groups[split(eight, 0.75).test])) >= 6
    six = indexed(60, classes=2, per_group=10)
    assert "'leave_one_out' tests each of the 6 groups" in more_groups(six, 6)
    assert "label more groups" in more_groups(indexed(40, classes=2, per_group=10), 6)


def test_small_classes_are_named_with_the_share_that_works():
    labels = ["cat"] * 10 + ["dog"] * 3 + ["fox"] * 4
    index = indexed(17, labels=labels)
    (warning,) = split(index, 0.2).warnings
    assert "a class needs 5 images to be tested, and 'dog', 'fox' have fewer (3, 4)" in warning


def test_a_class_that_no_test_group_has_is_named():
    labels = [("a" if i % 2 else "b") if i >= 20 else "rare" for i in range(100)]
    index = indexed(100, labels=labels, groups=[f"g{max(i // 10, 1)}" for i in range(100)])
    parts = split(index, 0.2)
    assert "'rare' is in 1 group and not in the test part" in parts.warnings[0]


@pytest.mark.parametrize("width", [1, 2])
def test_targets_that_are_no_classes_are_held_out_too(width):
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(100, 1)) if width == 1 else rng.integers(0, 2, (100, 2))
    index = replace(
        Index.build([str(i) for i in range(100)]),
        targets=targets.astype(np.float32),
        target_names=("a", "b")[:width],
    )
    parts = split(index, 0.2)
    assert (len(parts.test), parts.remarks) == (20, ())
    if width == 1:  # the same fifths in both parts
        fifths = np.searchsorted(np.quantile(targets, (0.2, 0.4, 0.6, 0.8)), targets[:, 0])
        assert np.bincount(fifths[parts.test]).tolist() == [4] * 5


def test_a_class_of_the_test_part_only_is_named():
    labels = ["cat", "dog"] * 6 + ["cat", "dog", "fox", "fox"] * 3
    index = indexed(24, labels=labels, splits=["train"] * 12 + ["test"] * 12)
    (remark,) = split(index, 0.2).remarks
    assert "'fox' is in the test part only" in remark
    assert "at most 6 of its 12 images" in remark


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        ("column split of l.csv", "leave out 'test' in the column split of l.csv"),
        ("names of folders", "give --data the folder of the other images alone"),
        ("parts of MNIST", "leave the part out by --set data.options.splits"),
        ("", "do not declare them as test"),
    ],
)
def test_a_declared_test_part_without_labels_is_said(origin, advice):
    index = indexed(60, labels=["a", "b"] * 20 + [""] * 20, splits=["train"] * 40 + ["test"] * 20)
    index = replace(index, origins={"split": origin} if origin else {})
    parts = split(index, 0.2)
    (warning,) = parts.warnings
    assert "the 20 images of the declared test part have no label. Label these" in warning
    assert advice in warning
    with pytest.raises(UsageError, match=re.escape(warning)):
        labeled_parts(index, parts)


def test_a_declared_validation_part_without_labels_is_said():
    index = indexed(60, labels=["a", "b"] * 20 + [""] * 20, splits=["train"] * 40 + ["val"] * 20)
    index = replace(index, origins={"split": "column split of l.csv"})
    said = [text for text in split(index, 0.2).remarks if "validation part have no label" in text]
    assert said == [
        "No encoder, setting or length of training can be chosen by labels: the 20 images of the "
        "declared validation part have no label. Label these images, or leave out 'val' in the "
        "column split of l.csv; a validation part is then drawn from the labeled ones."
    ]
    assert not split(replace(index, labels=np.arange(60) % 2), 0.2).remarks


def test_labels_of_the_declared_test_part_alone_are_refused():
    index = indexed(40, labels=[""] * 20 + ["a", "b"] * 10, splits=["train"] * 20 + ["test"] * 20)
    with pytest.raises(UsageError, match="Declare some of them as train"):
        labeled_parts(index, split(index, 0.2))


@pytest.mark.parametrize("holdout", [0, 0.25])
def test_a_holdout_beside_a_declared_test_part_is_said_to_change_nothing(holdout):
    index = indexed(splits=["test"] * 20 + ["train"] * 80)
    parts = split(index, holdout)
    said = f"--holdout {holdout:g} changes nothing, because a test part is declared."
    assert (parts.remarks, parts.warnings) == ((said,), ())
    assert split(index, DataConfig().holdout).remarks == ()


def test_unlabeled_images_are_for_training():
    index = indexed(labels=["a"] * 25 + ["b"] * 25 + [""] * 50)
    parts = split(index, 0.2)
    assert set(range(50, 100)) <= set(parts.train)


def test_unlabeled_images_of_a_test_group_are_not_trained_on():
    labels = [("a" if i // 10 % 2 else "b") if i % 10 == 0 else "" for i in range(200)]
    index = Index.build([str(i) for i in range(200)], labels=labels,
                        groups=[f"patient{i // 10}" for i in range(200)])  # fmt: skip
    parts = split(index, 0.2)
    used = np.concatenate([parts.train, parts.val])
    assert len(set(index.groups[parts.test])) == 4
    assert not set(index.groups[used]) & set(index.groups[parts.test])


def test_a_declared_leak_is_refused():
    index = indexed(n=4, groups=["p1", "p1", "p2", "p3"], splits=["train", "test", "", ""])
    with pytest.raises(UsageError, match="1 group is in the test part and outside"):
        split(index, 0.2)


def test_a_declared_validation_part_that_shares_a_group_is_refused():
    index = indexed(n=4, groups=["p1", "p1", "p2", "p3"], splits=["train", "val", "", "test"])
    with pytest.raises(UsageError, match="1 group is in the validation part and outside"):
        split(index, 0.2)


@pytest.mark.parametrize(("other", "step"), [("", 10), ("rare", 30)])
def test_all_images_of_a_group_are_in_the_drawn_validation_part(other, step):
    labels = [other if i % step == 0 else "ab"[i // 10 % 2] for i in range(80)]
    index = indexed(80, labels=labels, groups=[f"p{i // 10}" for i in range(80)])
    parts = split(index, 0)
    assert any(index.label(i) in ("", "rare") for i in parts.val)
    assert not set(index.groups[parts.val]) & set(index.groups[parts.train])


@pytest.mark.parametrize("patient", range(8))
def test_a_rare_class_stays_in_the_training_part(patient):
    labels = ["ab"[i // 10 % 2] for i in range(80)]
    labels[10 * patient] = "rare"
    index = indexed(80, labels=labels, groups=[f"p{i // 10}" for i in range(80)])
    parts = split(index, 0)
    assert 10 * patient in parts.train
    assert len(parts.val)


@pytest.mark.parametrize("share", [0.5, 0.75, 0.8])
def test_more_than_half_can_be_held_out(share):
    parts = split(indexed(n=200, labels=["a"] * 100 + ["b"] * 100), share)
    assert len(parts.test) == 200 * share
