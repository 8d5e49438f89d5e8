"""Comparisons of starts of a detector: budgets of annotated images, the same for all arms."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit.evaluation.comparing.cells import compute
from ssl_kit.evaluation.comparing.plan import plan
from ssl_kit.reports.comparison import table
from ssl_kit.training.progress import Progress

SIZE, GROUPS = 64, 8


@pytest.fixture
def images(tmp_path):
    """Noise with a bright square each, without class labels; two images a group."""
    rng, folder = np.random.default_rng(0), tmp_path / "images"
    folder.mkdir()
    marked, rows = [], ["path,group,split"]
    for i in range(2 * GROUPS):
        pixels = rng.integers(0, 60, (SIZE, SIZE, 3)).astype(np.uint8)
        pixels[8:32, 4 + i : 28 + i] = 230
        cv2.imwrite(str(folder / f"{i:02}.png"), pixels)
        rows.append(f"{i:02}.png,g{i // 2},{'test' if i < 4 else 'train'}")
        marked.append({"image_id": i, "category_id": 1, "bbox": [4 + i, 8, 24, 24]})
    (folder / "labels.csv").write_text("\n".join(rows))
    names = [{"id": i, "file_name": f"{i:02}.png"} for i in range(2 * GROUPS)]
    coco = {"images": names, "annotations": marked, "categories": [{"id": 1, "name": "square"}]}
    (folder / "coco.json").write_text(json.dumps(coco))
    return folder


@pytest.fixture
def ask(images):
    """Plans a comparison of detectors on these images."""

    def asked(*arms, settings=None, **options):
        short = {"annotations": "coco.json", "size": SIZE, "epochs": 1, "batch_size": 2}
        given = {f"detection.{k}": v for k, v in short.items()} | (settings or {})
        made = plan(
            arms,
            evaluation="detection",
            domain="natural",
            data=str(images),
            encoder="test_resnet",
            **{"budgets": "3,0.5,all", "seeds": 2, **options},
            settings=given,
        )
        return replace(made, data=replace(made.data, workers=0))

    return asked


def drawn(asked, budget, seed):
    parts = asked.asked.labeled(asked.limited(budget, seed))
    return set(parts.outside_test.tolist()), parts.test.tolist()


def test_a_budget_counts_annotated_images_without_classes(ask):
    asked = ask("scratch")
    groups = asked.data.dataset.index.groups
    for seed in range(2):
        few, half, every = (drawn(asked, budget, seed)[0] for budget in asked.budgets)
        assert [len(few), len(half), len(every)] == [3, 6, 12]
        assert len(set(groups[list(half)])) == 3  # half of six groups, with all their images
    nested = [drawn(asked, budget, 0)[0] for budget in ("3", "6", "9")]
    assert nested[0] < nested[1] < nested[2]


def test_the_images_tested_on_are_the_same_at_every_budget(ask, images):
    (images / "labels.csv").unlink()  # no declared split: a fifth of the groups
    asked = ask("scratch", "imagenet")
    tested = [drawn(asked, budget, seed)[1] for budget in asked.budgets for seed in range(2)]
    assert tested[0]
    assert all(one == tested[0] for one in tested)
    assert not drawn(asked, "all", 0)[0] & set(tested[0])


def test_every_arm_is_a_start_of_the_detector(ask):
    asked = ask("scratch", "imagenet", settings={"detection.freeze": "all"})
    made = [arm.evaluation("detection", asked.chosen, 1).config for arm in asked.arms]
    assert [(config.freeze, config.seed) for config in made] == [("none", 1), ("all", 1)]
    assert set(asked.chosen) == {"detection"}


@pytest.mark.parametrize(
    ("arm", "settings", "message"),
    [
        ("random-frozen", {}, "would not be frozen. Compare with scratch, or freeze all arms"),
        ("handcrafted", {}, "the arm handcrafted has none"),
        ("handcrafted", {"detection.freeze": "all"}, "the arm handcrafted has none"),
        ("scratch", {"finetune.epochs": 1}, "finetune"),
    ],
)
def test_what_has_no_meaning_is_refused(ask, arm, settings, message):
    with pytest.raises(UsageError, match=message):
        ask("imagenet", arm, settings=settings)


def test_random_frozen_is_an_arm_where_all_are_frozen(ask):
    assert ask("random-frozen", settings={"detection.freeze": "all"}).arms


@pytest.mark.slow
def test_detectors_are_compared(ask, tmp_path):
    asked = ask(
        "scratch", "random-frozen", settings={"detection.freeze": "all"}, budgets="3,all", seeds=1
    )
    values = compute(asked, tmp_path / "out", "ssl-kit compare", Progress(quiet=True))
    assert values["main"] == "AP"
    assert values["data"]["classes"] == ["square"]
    assert [values["data"][part] for part in ("train", "val", "test", "test_groups")][2:] == [4, 2]
    assert [budget["labels"] for budget in values["budgets"]] == [[3], [12]]
    assert {arm["evaluation"] for arm in values["arms"]} == {"detection"}
    assert "3 labeled images" in table(values)
    assert {d["budget"] for d in values["differences"] if "AP" in d["metrics"]} == {"3", "all"}
