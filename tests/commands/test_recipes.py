"""Recipes by one command: listed, shown, run on the digits, and continued."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from ssl_kit import SslKitError, UsageError
from ssl_kit.cli import main
from ssl_kit.commands.recipes import run_recipe
from ssl_kit.core.discovery import recipes
from ssl_kit.evaluation import recipes as running
from ssl_kit.evaluation.recipes import Request
from ssl_kit.training.engine import Stopped, stop_signals
from ssl_kit.training.progress import Progress
from ssl_kit.training.recipe import read_recipe

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "recipes.py"
RECIPE = """
claim = "Rotations teach <b>shapes</b>."
domain = "natural"
needs = "images"
paper = { title = "Rotations", authors = "A, B, C", year = 2018, url = "https://example.org" }
images = { paper = "ImageNet", here = "digits" }
unknown = [{ what = "length", choice = "one epoch" }]
checklist = [
    { text = "Repeat it.", check = "repeats", advice = "Give more seeds." },
    { text = "Look.", advice = "With care." },
]

[settings]
objective = { name = "rotation" }
encoder = { name = "resnet50", image_size = 224 }
train = { epochs = 100 }

[runs.turned.pretext]
metric = "rotation_accuracy"
reference = 0.25
about = "chance among four rotations"
learned = 0.26

[comparisons.probe]
about = "Does it help?"
arms = ["random-frozen"]
evaluation = "knn"
budgets = "5"
seeds = 2

[comparisons.again]
about = "Does it help more?"
evaluation = "knn"
budgets = "5"
seeds = 1

[comparisons.tuned]
about = "What does it look at?"
evaluation = "finetune"
budgets = "5"
seeds = 1
gradcam = 2
options = { finetune = { images = 60 } }

[small.settings]
encoder = { name = "test_resnet", image_size = 32 }
train = { epochs = 1, batch_size = 64, workers = 0, precision = "fp32" }
data = { holdout = 0.4, classes = ["0", "1", "2"] }
"""


def call(*args):
    return CliRunner().invoke(main, ["recipes", *map(str, args)])


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "turned.toml"
    file.write_text(RECIPE)
    return str(file)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Runs the recipe once, for all tests that read its folder."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "turned.toml").write_text(RECIPE)
    return run_recipe(str(folder / "turned.toml"), small=True, out=folder / "out")


@pytest.fixture
def copied(ran, tmp_path):
    return shutil.copytree(ran.folder, tmp_path / "out")


def test_the_list_has_paper_domain_and_needs():
    done = call("list")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in recipes)
    assert "Chen et al. 2020" in done.stdout
    row = next(row for row in json.loads(call("list", "--json").stdout) if row["name"] == "simclr")
    assert (row["domain"], row["paper"]) == ("natural", "Chen et al. 2020")


def test_a_page_has_the_settings_of_the_paper_and_the_small_ones(recipe):
    text = " ".join(call("show", recipe).stdout.split())
    assert "Rotations teach <b>shapes</b>." in text
    assert "encoder.name resnet50 test_resnet" in text
    assert "train.epochs 100 1" in text
    assert "data.holdout - 0.4" in text
    assert "rotation_accuracy 0.25: chance among four rotations 0.26" in text
    assert "length one epoch" in text


@pytest.mark.parametrize("name", recipes)
def test_every_recipe_has_a_page(name):
    assert call("show", name).exit_code == 0
    assert json.loads(call("show", name, "--json").stdout)["small"]["claim"]


def test_wrong_settings_are_refused_in_one_line(recipe):
    done = call("run", recipe, "--set", "comparisons.prob.seeds=1")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: Unknown key 'comparisons.prob'. Did you mean 'probe'?")


def test_what_cannot_be_compared_is_refused_before_training(recipe, tmp_path):
    out = tmp_path / "out"
    for setting in ({"comparisons.probe.evaluation": "kn"}, {"comparisons.probe.arms": ["imgnet"]},
                    {"comparisons.probe.options.knn.kk": 2}, {"objective.temp": 2}):  # fmt: skip
        with pytest.raises(UsageError):
            run_recipe(recipe, small=True, set=setting, out=tmp_path / "out")
        assert not out.exists()


def test_wrong_images_leave_no_folder_behind(recipe, tmp_path):
    for data in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(SslKitError):
            run_recipe(recipe, small=True, data=data, out=tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_data_options_of_a_comparison_leave_the_data_of_the_run(recipe, monkeypatch):
    opened = []

    def note(*args):
        opened.append(args[-1]["data"])
        return open_images(*args)

    open_images = running.open_images
    monkeypatch.setattr(running, "open_images", note)
    options = {"comparisons.probe.options": {"data": {"holdout": 0.5}}}
    asked = read_recipe(recipe, True, options)
    Request("turned", asked, True, {}, "", "").check()
    assert (opened[0]["holdout"], opened[0]["classes"]) == (0.5, ("0", "1", "2"))


@pytest.mark.parametrize(("given", "seed"), [({}, 7), ({"seed": 3}, 3), ({"seed": 0}, 0)])
def test_the_seed_of_a_recipe_holds_where_none_is_given(recipe, monkeypatch, given, seed):
    class Asked(Exception):
        pass

    def note(request, *args):
        raise Asked(request.config_of("turned").seed)

    monkeypatch.setattr(running, "run_recipe", note)
    with pytest.raises(Asked, match=str(seed)):
        run_recipe(recipe, small=True, **given, set={"runs.turned.settings.seed": 7})


def test_a_recipe_trains_compares_and_judges_the_pretext_task(ran):
    values = json.loads((ran.folder / "recipe.json").read_text())
    assert values == ran
    pretext = values["runs"]["turned"]["pretext"]
    assert pretext["reference"] == 0.25
    assert 0 < pretext["last"] <= 1
    assert set(values["comparisons"]) == {"probe", "again", "tuned"}
    assert values["seconds"] > 0
    assert values["peak_memory_mib"] > 100
    assert values["cpu_seconds"] > 0
    compared = json.loads((ran.folder / "comparisons" / "probe" / "compare.json").read_text())
    assert {arm["name"] for arm in compared["arms"]} == {"turned", "random-frozen", "handcrafted"}
    assert len(list((ran.folder / "comparisons" / "probe").glob("cells/*/*.npz"))) == 6


def test_the_text_has_claim_pretext_task_tables_and_what_was_used(ran):
    text = str(ran)
    assert text.startswith("turned --small: Rotations, A, B, C, 2018\nClaim: Rotations teach")
    assert "turned: the pretext task was" in text
    assert "the reference is 0.25 (chance among four rotations)" in text
    assert "Probe: Does it help?" in text
    assert "turned against random-frozen" in text
    assert "Wall time" in text
    assert "peak memory" in text


def test_one_report_has_the_claim_at_its_top_and_all_comparisons(ran):
    html = (ran.folder / "report.html").read_text()
    assert html.index("Rotations teach &lt;b&gt;shapes&lt;/b&gt;.") < html.index("Does it help?")
    assert html.index("Does it help?") < html.index("Does it help more?")
    assert "the pretext task was" in html
    assert "What the paper leaves open" in html
    assert "Repeat it." in html
    assert "Not kept. At least 1 draw" in html
    assert "For you to judge. With care." in html
    anchors = [part.split('"')[0] for part in html.split(' id="')[1:]]
    assert len(set(anchors)) == len(anchors)


def test_the_same_command_computes_nothing_anew(ran, copied, monkeypatch):
    def never(*args):
        raise AssertionError("it is trained again")

    monkeypatch.setattr(running, "start", never)
    monkeypatch.setattr(running, "go_on", never)
    cell = next(copied.glob("comparisons/probe/cells/turned/*.npz"))
    pictures = copied / "classifiers" / "tuned" / "turned" / "gradcam.png"
    before, drawn = cell.stat().st_mtime_ns, pictures.stat().st_mtime_ns
    file = copied.parent / "turned.toml"
    file.write_text(RECIPE)
    again = run_recipe(str(file), small=True, out=copied)
    assert cell.stat().st_mtime_ns == before
    assert pictures.stat().st_mtime_ns == drawn
    assert again["runs"] == ran["runs"]
    assert again["seconds"] > ran["seconds"]  # of both attempts


def test_a_comparison_can_draw_what_its_classifiers_look_at(ran):
    folder = ran.folder / ran["comparisons"]["tuned"]["classifiers"]["turned"]
    assert len((folder / "gradcam.csv").read_text().splitlines()) == 3
    html = (ran.folder / "report.html").read_text()
    assert "of the classifier from turned" in html
    assert str(folder / "gradcam.csv") in html


def test_pictures_that_were_interrupted_are_drawn_anew(ran, copied):
    folder = copied / "classifiers" / "tuned" / "turned"
    (folder / "gradcam.png").unlink()
    file = copied.parent / "turned.toml"
    file.write_text(RECIPE)
    run_recipe(str(file), small=True, out=copied)
    assert (folder / "gradcam.png").is_file()


def stopped(*_):
    raise Stopped("Stopped by a signal after step 1.")


def test_an_interrupted_training_goes_on(copied, monkeypatch):
    """A run without an end in its manifest is continued from its checkpoint."""
    file = copied.parent / "turned.toml"
    file.write_text(RECIPE)
    manifest = copied / "runs" / "turned" / "manifest.json"
    values = json.loads(manifest.read_text())
    del values["seconds"]
    manifest.write_text(json.dumps(values))
    with monkeypatch.context() as patched:
        patched.setattr(running, "go_on", stopped)
        with pytest.raises(KeyboardInterrupt, match="The same command goes on"):
            run_recipe(str(file), small=True, out=copied)
    run_recipe(str(file), small=True, out=copied)
    assert "seconds" in json.loads(manifest.read_text())


def test_a_signal_in_the_last_step_of_a_training_ends_the_recipe(tmp_path, monkeypatch):
    def last_step(*_):
        with stop_signals(lambda number: None):
            signal.raise_signal(signal.SIGTERM)
        return ["run"]

    monkeypatch.setattr(running, "start", last_step)
    request = SimpleNamespace(command="")
    config = SimpleNamespace(model_dump=dict)
    with pytest.raises(Stopped):
        running._trained(request, config, tmp_path, Progress(quiet=True))


def test_a_folder_with_other_settings_is_refused(copied):
    file = copied.parent / "turned.toml"
    file.write_text(RECIPE)
    with pytest.raises(UsageError, match="holds a recipe with other settings"):
        run_recipe(str(file), small=True, seed=5, out=copied)


def test_the_python_call_is_on_record(ran):
    assert ran["command"].startswith("ssl_kit.commands.recipes.run_recipe('")
    assert "small=True" in ran["command"]


@pytest.mark.skipif(not SCRIPT.is_file(), reason="no benchmarks/")
def test_the_page_of_results_is_written_from_the_folders(ran, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    for _ in range(2):  # rows of the same command are replaced
        subprocess.run([sys.executable, SCRIPT, ran.folder, "--page", page], check=True)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("| **turned** (A et al. 2018), on `demo`") == 1
    assert "probe: accuracy by `knn`" in text
    assert "random-frozen, budget 5: " in text
    assert "chance among four rotations" in text


@pytest.mark.skipif(not SCRIPT.is_file(), reason="no benchmarks/")
def test_rows_of_other_commands_are_kept(ran, tmp_path):
    page = tmp_path / "page.md"
    rows = "| recipe |\n| --- |\n| **turned** (A et al. 2018), on `other`: It. | 1 |\n| | 2 |\n"
    rows += "| **zebra** (Z et al. 2018), on `other`: It. | 3 |\n"
    commands = "```\nssl-kit recipes run turned --data other\nssl-kit recipes run zebra\n```\n"
    page.write_text(f"<!-- results -->\n{rows}\n{commands}<!-- end of results -->\n")
    subprocess.run([sys.executable, SCRIPT, ran.folder, "--page", page], check=True)
    text = page.read_text()
    assert "It. | 1 |\n| | 2 |\n| **turned**, on `demo` | turned:" in text
    assert text.index("on `demo`") < text.index("**zebra** (Z et al. 2018), on `other`: It. | 3 |")
    assert "--data other\nssl_kit.commands.recipes.run_recipe(" in text
