"""Recipes are read strictly, and changed by their small settings and by --set."""

import subprocess
import sys

import pytest

from ssl_kit import UnknownNameError, UsageError
from ssl_kit.core.discovery import recipes
from ssl_kit.training.recipe import read_recipe

TEXT = """
claim = "It learns."
domain = "natural"
needs = "images"
paper = { title = "T", authors = "A, B", year = 2020 }
images = { paper = "ImageNet", here = "digits" }
unknown = [{ what = "length", choice = "ten epochs" }]
settings = { objective = { name = "rotation" }, train = { epochs = 100 } }

[runs.rotation.pretext]
metric = "rotation_accuracy"
reference = 0.25
about = "chance among four"
learned = 0.5

[comparisons.probe]
about = "Does it help?"
arms = ["random-frozen"]
budgets = "10,all"

[small.settings]
train = { epochs = 2 }
encoder = { name = "test_resnet" }
"""


@pytest.fixture
def written(tmp_path):
    def write(old="", new=""):
        file = tmp_path / "mine.toml"
        file.write_text(TEXT.replace(old, new) if old else TEXT)
        return str(file)

    return write


def test_small_settings_are_laid_over_those_of_the_paper(written):
    paper, small = read_recipe(written()), read_recipe(written(), small=True)
    assert paper.settings["train"]["epochs"] == 100
    assert small.settings["train"]["epochs"] == 2
    assert small.settings["objective"] == {"name": "rotation"}
    assert small.comparisons == paper.comparisons


def test_settings_of_a_run_have_the_domain_and_what_is_laid_over_them(written):
    settings = read_recipe(written()).settings_of("rotation", {"seed": 3})
    assert (settings["domain"], settings["seed"]) == ("natural", 3)


def test_what_is_set_changes_all_runs_or_a_comparison(written):
    changes = {"train.epochs": 7, "comparisons.probe.seeds": 1, "comparisons.probe.budgets": 10}
    recipe = read_recipe(written(), settings=changes)
    assert recipe.settings["train"]["epochs"] == 7
    assert (recipe.comparisons["probe"].seeds, recipe.comparisons["probe"].budgets) == (1, "10")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("claim =", "claims =", "Did you mean 'claim'?"),
        ("[comparisons.probe]\nabout", "[comparisons.probe]\nabuot", "'comparisons.probe.abuot'"),
        ("reference =", "referense =", "Did you mean 'reference'?"),
        ("choice =", "chioce =", "Unknown key 'unknown.1.chioce'"),
        ("learned = 0.5", "learned = 0.2", "must be better than 'reference'"),
        ('arms = ["random-frozen"]', 'runs = ["rotate"]', "Did you mean 'rotation'?"),
        ("[comparisons.probe]", '[comparisons."my probe"]', "is no name"),
        (
            "[comparisons.probe]",
            "[comparisons.probe]\ngradcam = 3",
            "needs evaluation = 'finetune'",
        ),
        (
            "[runs.rotation.pretext]",
            "[comparisons.drawn]\nabout = '?'\nevaluation = 'finetune'\ngradcam = 3\n"
            "[runs.rotation]\neach = 'group'\n[runs.rotation.pretext]",
            "needs one run for all groups",
        ),
    ],
)
def test_a_mistake_is_named_with_its_file_and_the_nearest_right_thing(written, old, new, message):
    with pytest.raises(UsageError, match=r"In the recipe 'mine\.toml'") as caught:
        read_recipe(written(old, new))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"comparisons.prob.seeds": 1}, "Did you mean 'probe'?"),
        ({"runs.rotate.settings": {}}, "Did you mean 'rotation'?"),
        ({"seed": 1}, "use --seed"),
    ],
)
def test_wrong_overrides_are_refused(written, settings, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        read_recipe(written(), settings=settings)


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'simclr'"):
        read_recipe("simcrl")


def test_a_recipe_of_a_folder_of_plugins_is_found(written, tmp_path):
    """Third parties register the path of a TOML file, as our own packages do."""
    written()
    (tmp_path / "my_plugin.py").write_text(
        "from pathlib import Path\n"
        "from ssl_kit import hookimpl\n"
        "@hookimpl\n"
        "def register_recipes(register):\n"
        "    register('mine', Path(__file__).with_name('mine.toml'), summary='Mine.')\n"
    )
    code = (
        f"import os; os.environ['SSL_KIT_PLUGINS_DIR'] = {str(tmp_path)!r}\n"
        "from ssl_kit.training.recipe import read_recipe\n"
        "import sys; assert read_recipe('mine').claim == 'It learns.'\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", recipes)
def test_every_recipe_of_ours_states_what_is_unknown(name):
    for small in (False, True):
        recipe = read_recipe(name, small)
        assert recipe.unknown
        assert recipe.paper.url.startswith("https://")
