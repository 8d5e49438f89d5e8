from dataclasses import replace

import pytest

from ssl_kit import Config, UsageError
from ssl_kit.core import discovery
from ssl_kit.core.config import validate
from ssl_kit.core.registry import Entry
from ssl_kit.training.defaults import explain_defaults
from ssl_kit.training.durations import seconds
from ssl_kit.training.layers import merge, parse_set, read_toml
from ssl_kit.training.settings import RunConfig
from ssl_kit.training.setup import resolve

NATURAL = {"domain": "natural"}


def test_later_layers_win_and_leave_the_rest():
    config = resolve(
        {**NATURAL, "seed": 1, "train": {"epochs": 3, "batch_size": 16}},
        {"seed": 2},
        parse_set("train.epochs=5"),
    )
    assert (config.seed, config.train.epochs, config.train.batch_size) == (2, 5, 16)


def test_domain_defaults_are_above_ours_and_below_the_users(monkeypatch):
    from ssl_kit.training import setup

    natural = discovery.domains["natural"]
    defaults = {"encoder": {"name": "resnet34", "image_size": 96}}
    monkeypatch.setattr(setup, "domains", {"natural": replace(natural, defaults=defaults)})
    config = resolve(NATURAL, {"encoder": {"image_size": 32}})
    assert (config.encoder.name, config.encoder.image_size) == ("resnet34", 32)


@pytest.fixture
def two_defaults(monkeypatch):
    """Gives the domain natural other defaults for pre-trained weights."""
    natural = discovery.domains["natural"]
    changed = replace(
        natural,
        defaults={"objective": {"name": "byol", "hidden_dim": 8}},
        pretrained_defaults={"objective": {"name": "dino"}, "optimizer": {"lr": 5e-4}},
    )
    monkeypatch.setitem(discovery.domains._entries, "natural", Entry("natural", changed))


WEIGHTS = {**NATURAL, "encoder": {"init": "imagenet"}}
SIZED = {"encoder": {"image_size": 32}}


@pytest.mark.parametrize("objective", ["simclr", "tico", "mae"])
def test_from_weights_the_rate_is_lower_and_statistics_stay(objective):
    scratch, weights = (resolve(each, {"objective": objective}) for each in (NATURAL, WEIGHTS))
    assert weights.optimizer.lr == scratch.optimizer.lr / 4
    assert (weights.encoder.frozen_statistics, scratch.encoder.frozen_statistics) == (True, False)
    asked = {"encoder": {"frozen_statistics": False}, "optimizer": {"lr": 1e-3}}
    config = resolve(WEIGHTS, {"objective": objective}, asked)
    assert (config.encoder.frozen_statistics, config.optimizer.lr) == (False, 1e-3)


def test_a_domain_has_other_defaults_for_pretrained_weights(two_defaults):
    scratch, pretrained = resolve(NATURAL), resolve(WEIGHTS)
    assert (scratch.objective.name, scratch.optimizer.lr) == ("byol", 2e-3)
    assert (pretrained.objective.name, pretrained.optimizer.lr) == ("dino", 5e-4)
    assert "hidden_dim" in scratch.objective.options
    assert resolve(WEIGHTS, {"objective": "simclr"}).objective.name == "simclr"


def test_a_run_says_the_image_size_of_its_domain(monkeypatch):
    sized = replace(discovery.domains["natural"], pretrained_defaults=SIZED)
    monkeypatch.setitem(discovery.domains._entries, "natural", Entry("natural", sized))
    said = explain_defaults(WEIGHTS, resolve(WEIGHTS))
    assert "image size 32 px: default of domain natural for pre-trained weights" in said


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            NATURAL,
            "Objective byol, objective.hidden_dim=8: defaults of domain natural; learning rate "
            "0.002 for 256 images per step, image size 64 px: defaults of ssl-kit "
            "(docs/defaults.md).",
        ),
        (
            WEIGHTS,
            "Objective dino, learning rate 0.0005 for 256 images per step: defaults of domain "
            "natural for pre-trained weights; image size 64 px: default of ssl-kit; "
            "encoder.frozen_statistics=True: default of ssl-kit for pre-trained weights "
            "(docs/defaults.md).",
        ),
        (
            {**WEIGHTS, "objective": "mae"},
            "Learning rate 0.0005 for 256 images per step: default of domain natural for "
            "pre-trained weights; image size 64 px: default of ssl-kit; "
            "encoder.frozen_statistics=True: default of ssl-kit for pre-trained weights "
            "(docs/defaults.md).",
        ),
        (
            {**merge(WEIGHTS, SIZED), "objective": "mae", "optimizer": {"lr": 1.0}},
            "encoder.frozen_statistics=True: default of ssl-kit for pre-trained weights "
            "(docs/defaults.md).",
        ),
        ({**NATURAL, **SIZED, "objective": "mae", "optimizer": {"lr": 1.0}}, ""),
    ],
)
def test_a_run_says_which_defaults_it_takes(two_defaults, asked, sentence):
    assert explain_defaults(asked, resolve(asked)) == sentence


def test_objective_defaults_are_below_the_users(monkeypatch):
    from ssl_kit.core.discovery import objectives

    defaults = {"optimizer": {"lr": 0.5, "weight_decay": 0.1}}
    monkeypatch.setattr(objectives["simclr"], "defaults", defaults)
    config = resolve(NATURAL, {"optimizer": {"lr": 0.25}})
    assert (config.optimizer.lr, config.optimizer.weight_decay) == (0.25, 0.1)


def test_the_resolved_objective_has_all_its_options():
    config = resolve(NATURAL, {"objective": {"name": "byol", "hidden_dim": 8}})
    assert config.objective.options == {"hidden_dim": 8, "out_dim": 256, "momentum": 0.99}


def test_options_of_the_default_objective_need_no_name():
    config = resolve(NATURAL, parse_set("objective.temperature=0.2"))
    assert config.objective.options["temperature"] == 0.2


@pytest.mark.parametrize("objective", ["byol", {"name": "byol"}])
def test_an_objective_is_a_string_or_a_table(objective):
    assert resolve(NATURAL, {"objective": objective}).objective.name == "byol"


def test_switching_the_objective_drops_the_options_of_the_other():
    below = {"objective": {"name": "simclr", "temperature": 0.1}}
    config = resolve(NATURAL, below, {"objective": {"name": "vicreg"}})
    assert "temperature" not in config.objective.options


def test_naming_the_same_objective_keeps_its_options():
    below = {"objective": {"name": "simclr", "temperature": 0.1}}
    config = resolve(NATURAL, below, {"objective": "simclr"}, {"objective": {"out_dim": 4}})
    assert config.objective.options == {"temperature": 0.1, "hidden_dim": 512, "out_dim": 4}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": {"kk": 1}}, "The objective simclr .default of domain natural. has: "),
        ({"objective": {"name": "simclr", "kk": 1}}, "The objective simclr has: "),
        ({"sead": 1}, "Unknown key 'sead'. Did you mean 'seed'?"),
        ({"train": {"epoch": 1}}, "Unknown key 'train.epoch'. Did you mean 'epochs'?"),
        ({"objective": {"name": "simclr", "temprature": 1}}, "'objective.temprature'.*temperature"),
        ({"train": {"epochs": "many"}}, "Wrong value for 'train.epochs'.*not 'many'"),
        ({"train": 3}, "Wrong value for 'train'"),
        ({"objective": {"name": "simclr", "temperature": -1}}, "'objective.temperature'.*not -1"),
        ({"encoder": {"image_size": 4}}, "'encoder.image_size'.*not 4"),
        ({"optimizer": {"name": "adam"}}, "'optimizer.name'.*'adamw'"),
        ({"optimizer": {"lr": float("nan")}}, "'optimizer.lr'"),
        ({"train": {"max_time": "soon"}}, "'train.max_time': a duration.*90s, 10m or 1h30m"),
        (
            {"objective": "simcrl"},
            "Unknown objective 'simcrl'. Did you mean 'simclr'?.*-dir FOLDER.$",
        ),
        ({"objective": 3}, "'objective'"),
        ({"domain": "naturel"}, "Unknown domain 'naturel'. Did you mean 'natural'?"),
        ({"domain": None}, "Give --domain"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        resolve(NATURAL, settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seed=3", 3),
        ("seed=0.5", 0.5),
        ("seed=true", True),
        ("seed=abc", "abc"),
        ('seed="3"', "3"),
        ("seed=[1, 2]", [1, 2]),
        ("seed=/a/b=c", "/a/b=c"),
        ("seed=", ""),
        (" seed =3", 3),
    ],
)
def test_set_reads_toml_values_and_bare_words(text, value):
    assert parse_set(text) == {"seed": value}


def test_set_nests_by_dots():
    assert parse_set("data.options.channels=gray") == {"data": {"options": {"channels": "gray"}}}


@pytest.mark.parametrize("text", ["seed", "=3", " =3"])
def test_set_without_key_or_value_is_an_error(text):
    with pytest.raises(UsageError, match="--set takes key=value"):
        parse_set(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), (5, 5), (None, None)],
)
def test_durations(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5h", "10 m", "m", "5x", 0, -1])
def test_wrong_durations(text):
    with pytest.raises(UsageError, match="max_time"):
        resolve(NATURAL, {"train": {"max_time": text}})


def test_config_toml_round_trips(tmp_path):
    config = resolve(
        NATURAL,
        {"objective": {"name": "byol", "hidden_dim": 8}, "train": {"max_time": "1h"}},
        {"data": {"options": {"channels": "gray"}}},
    )
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert validate(RunConfig, read_toml(tmp_path / "config.toml")) == config


def test_an_existing_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imagenet").mkdir()
    config = resolve(NATURAL, {"data": {"path": "imagenet"}, "encoder": {"init": "imagenet"}})
    assert config.data.path == str(tmp_path / "imagenet")
    assert config.encoder.init == "imagenet"  # which means timm's weights nevertheless


@pytest.mark.parametrize("content", [None, b"seed = ", b"\xff\xfe"])
def test_an_unreadable_configuration_file_is_a_usage_error(tmp_path, content):
    file = tmp_path / "my.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="Cannot read the configuration"):
        read_toml(file)


def test_merge_changes_none_of_its_layers():
    layers = {"train": {"epochs": 1}}, {"train": {"epochs": 2}}
    assert merge(*layers) == {"train": {"epochs": 2}}
    assert layers == ({"train": {"epochs": 1}}, {"train": {"epochs": 2}})


def test_a_configuration_is_frozen():
    class Mine(Config):
        width: int = 3

    with pytest.raises(ValueError, match="frozen"):
        Mine().width = 4
