"""Every command and page gives the same answer on one run: helped, hurt, or no evidence."""

import json
import re
import shutil

import pytest
from safetensors.torch import load_file, save_file

import ssl_kit
from ssl_kit.reports.comparison import answers, table
from ssl_kit.reports.words import VERDICTS

WORDS = {key: words.pretraining for key, words in VERDICTS.items() if key != "no verdict"}
THAN = {key: words.than for key, words in VERDICTS.items()}


def run_from_weights(finished_run, folder, change):
    """A copy of a run, which began from changed weights of its own."""
    copy, file = shutil.copytree(finished_run.folder, folder / "run"), folder / "w.safetensors"
    state = load_file(copy / "encoder.safetensors")
    save_file({key: change(value) for key, value in state.items()}, file)
    config = copy / "config.toml"
    config.write_text(config.read_text().replace('init = "scratch"', f'init = "{file}"'))
    return copy


def text_of(page):
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")).split())


@pytest.mark.parametrize("change", [lambda value: value * 0, lambda value: value.clone()])
def test_all_commands_give_one_verdict(finished_run, tmp_path, change):
    run = run_from_weights(finished_run, tmp_path, change)
    evaluated = ssl_kit.evaluate(run, evaluation="knn")
    stored = json.loads((run / "evaluations" / "knn.json").read_text())
    compared = ssl_kit.compare(
        run, evaluation="knn", budgets="all", seeds=1, out=tmp_path / "compared"
    )
    verdict = stored["verdict"]
    assert evaluated.to_json()["evaluations"]["knn"]["verdict"] == verdict
    pairs = {pair["against"]: pair for pair in compared["differences"] if pair["arm"] == "run"}
    assert pairs["start"]["verdict"] == verdict
    assert pairs["start"]["metrics"]["accuracy"] == pytest.approx(stored["gain"])
    assert pairs["handcrafted"]["metrics"]["accuracy"] == pytest.approx(stored["over_descriptors"])
    report = text_of(ssl_kit.report(run, out=tmp_path / "run.html"))
    page = text_of(ssl_kit.report(tmp_path / "compared", out=tmp_path / "compared.html"))
    others = [words for key, words in WORDS.items() if key != verdict]
    for text in (" ".join(str(evaluated).split()), report):
        assert not any(words in text for words in others)
    assert f"run is {THAN[verdict]} the weights it started from" in page
    if verdict == "no evidence":
        for text in (str(evaluated), str(compared), report, page):
            assert "Pre-training was short" in " ".join(text.split())


def comparison(kept, verdicts):
    """The content of compare.json as far as the notes need it."""
    pretraining = {"seconds": 60.0, "epochs": 1.0, "kept": kept}
    kinds = {"run": "run", "start": "start", "random-frozen": "random-frozen"}
    pairs = [("run", "start"), ("run", "random-frozen"), ("start", "random-frozen")]
    return {
        "main": "accuracy",
        "seeds": 3,
        "budgets": [{"name": "all", "labels": [30]}],
        "leak": {"shared": {}},
        "data": {"test": 30, "test_groups": 30, "grades": [], "positive": ""},
        "results": [],
        "arms": [
            {"name": name, "kind": kind, "evaluation": "knn", "unavailable": "",
             "pretraining": pretraining if kind == "run" else {}}
            for name, kind in kinds.items()
        ],
        "differences": [
            {"arm": a, "against": b, "budget": "all", "verdict": verdict, "groups": 30,
             "seeds_counted": True,
             "metrics": {"accuracy": {"value": 0.0, "low": -0.1, "high": 0.1}}}
            for (a, b), verdict in zip(pairs, verdicts, strict=True)
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "short"),
    [
        (["no evidence", "helps", "helps"], True),
        (["helps", "helps", "no evidence"], False),
    ],
)
def test_a_short_training_is_said_where_its_run_has_no_evidence(verdicts, short):
    assert ("Pre-training was short" in table(comparison(1.0, verdicts))) == short


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_comparison_says_that_a_run_kept_its_start(kept):
    text = " ".join(table(comparison(kept, ["no evidence", "helps", "helps"])).split())
    assert ("'run' kept the weights that it started from" in text) == (kept == 0)
    assert ("is due to these and not to its pre-training" in text) == (kept == 0)


@pytest.mark.parametrize(("kept", "tone"), [(0.0, ""), (0.5, "good")])
def test_what_is_due_to_the_start_of_a_run_is_not_praised(kept, tone):
    found = answers(comparison(kept, ["no evidence", "helps", "helps"]))
    words, told = found["run", "random-frozen"]
    assert told == tone
    assert words.endswith("(It kept the weights that it started from.)") == (kept == 0)
