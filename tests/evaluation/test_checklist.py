"""The checklist of a recipe is answered from what was run."""

from typing import get_args

import pytest

from ssl_kit.evaluation.checklist import CHECKS, KEPT, NOT_KEPT, UNDECIDED, fill_in
from ssl_kit.training.recipe import Recommendation


def arm(kind, evaluation="linear", unavailable=""):
    return {"name": kind, "kind": kind, "evaluation": evaluation, "unavailable": unavailable}


def run(objective="rotation", start="scratch"):
    return {"objective": objective, "start": start, "seconds": 60.0}


def compared(*arms, labels=((10,), (20,)), seeds=3, shared=0, groups=20, metrics=("auroc",)):
    return {
        "encoder": "resnet18",
        "arms": [arm("run", "finetune"), *arms],
        "budgets": [{"labels": list(each)} for each in labels],
        "seeds": seeds,
        "results": [{"metrics": dict.fromkeys(metrics)}],
        "data": {"test": 40, "test_groups": groups},
        "leak": {"shared": {"run": shared} if shared else {}},
    }


def verdict(check, runs, *pages):
    asked = [Recommendation(text="do it", check=check, advice="so")]
    return fill_in(asked, {"runs": {str(n): each for n, each in enumerate(runs)}}, pages)[0].verdict


def test_every_check_of_the_settings_is_answered():
    assert set(CHECKS) | {""} == set(get_args(Recommendation.model_fields["check"].annotation))


KEEPING = {
    "strategies": ([run(), run("simclr")], compared()),
    "references": ([run()], compared(arm("scratch"), arm("imagenet"))),
    "natural-weights": ([run(start="imagenet")], compared()),
    "adaptation": ([run()], compared(arm("imagenet"))),
    "label-shares": ([run()], compared(labels=((10,), (20,), (30,)))),
    "repeats": ([run()], compared()),
    "metrics": ([run()], compared()),
    "groups-apart": ([run()], compared()),
    "record": ([run()], compared()),
}
BREAKING = {
    "strategies": ([run()], compared()),
    "references": ([run()], compared(arm("scratch"), arm("imagenet", unavailable="no file"))),
    "natural-weights": ([run()], compared()),
    "adaptation": ([run()], compared(arm("scratch", "finetune"))),
    "label-shares": ([run()], compared(labels=((10, 10), (10, 10), (20, 20)))),
    "repeats": ([run()], compared(seeds=2)),
    "metrics": ([run()], compared(metrics=("accuracy", "ece"))),
    "groups-apart": ([run()], compared(shared=1)),
}


@pytest.mark.parametrize("check", KEEPING)
def test_what_keeps_it(check):
    assert verdict(check, *KEEPING[check]) == KEPT


@pytest.mark.parametrize("check", BREAKING)
def test_what_does_not_keep_it(check):
    assert verdict(check, *BREAKING[check]) == NOT_KEPT


def test_an_image_each_is_no_group():
    assert verdict("groups-apart", [run()], compared(groups=40)) == NOT_KEPT


def test_without_a_check_the_reader_decides():
    assert verdict("", [run()], compared()) == UNDECIDED


def test_without_a_comparison_the_reader_decides():
    assert {verdict(check, [run()]) for check in CHECKS} == {UNDECIDED}


def test_what_is_not_kept_says_what_to_do():
    asked = [Recommendation(text="do it", check="repeats", advice="Give more seeds.")]
    answer = fill_in(asked, {"runs": {}}, [compared(seeds=1)])[0].answer
    assert answer.startswith("At least 1 draw")
    assert answer.endswith("Give more seeds.")


def test_a_missing_arm_is_named_with_its_reason():
    asked = [Recommendation(text="do it", check="references", advice="so")]
    pages = [compared(arm("imagenet", unavailable="there is no file"))]
    assert "imagenet is missing: there is no file" in fill_in(asked, {"runs": {}}, pages)[0].answer
