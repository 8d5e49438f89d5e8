"""Settings that change nothing are named, and others are not."""

import pytest

from ssl_kit.training.idle import idle_settings
from ssl_kit.training.layers import expand, merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.setup import build, resolve
from ssl_kit.training.start import start

EMPTY = "an empty column of labels"
CASES = {
    "a partner for one view": ({"data.pair_by": "group", "objective": "rotation"}, "data.pair_by"),
    "no partner": ({"data.pair_by": "group"}, "data.pair_by"),
    "momentum of adamw": ({"optimizer.momentum": 0.1}, "optimizer.momentum"),
    "no batch normalization": (
        {"encoder.frozen_statistics": True, "encoder.name": "test_vit"},
        "encoder.frozen_statistics",
    ),
    "a gap before nothing": ({"data.gap": 5.0}, "data.gap"),
    "a share of all": ({"data.share": 0.99}, "data.share"),
    "no validation part": ({"data.keep_out": "val", "data.labels": EMPTY}, "data.keep_out"),
}


@pytest.fixture
def labels(shared_images, tmp_path):
    """Writes a file of labels that declares a test part, or one without labels."""

    def write(kind):
        files = sorted(
            file.relative_to(shared_images).as_posix() for file in shared_images.glob("*/*.png")
        )
        rows = [f"{name},{'' if kind == EMPTY else name[0]},{'test' if '/1' in name else 'train'}"
                for name in files]  # fmt: skip
        rows = [row.rpartition(",")[0] for row in rows] if kind == EMPTY else rows
        head = "path,label" if kind == EMPTY else "path,label,split"
        (tmp_path / "labels.csv").write_text("\n".join([head, *rows]) + "\n")
        return str(tmp_path / "labels.csv")

    return write


@pytest.mark.parametrize("case", CASES)
def test_a_setting_that_is_named_leaves_the_same_bytes(tiny, tmp_path, labels, case):
    settings, key = CASES[case]
    if kind := settings.get("data.labels"):
        settings = {**settings, "data.labels": labels(kind)}
    tiny = merge(tiny, {"objective": settings.get("objective", "simclr")})
    whole = merge(tiny, expand(settings))
    setup = build(resolve(whole))
    assert [name.partition(" = ")[0] for name in idle_settings(setup, whole)] == [key]
    without = merge(tiny, expand({name: settings[name] for name in settings if name != key}))
    runs = (
        start([each], tmp_path / name, Progress(quiet=True))[0]
        for name, each in (("with", whole), ("without", without))
    )
    assert len({run.encoder.read_bytes() for run in runs}) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer.momentum": 0.1, "optimizer.name": "sgd"},
        {"encoder.frozen_statistics": True},
        {"data.share": 0.5},
        {"data.holdout": 0.5},
        {"data.keep_out": "val"},
        {"data.pair_by": "group", "data.layout": "{group}/*"},
    ],
)
def test_a_setting_that_changes_something_is_not_named(tiny, settings):
    whole = merge(tiny, expand(settings))
    assert not idle_settings(build(resolve(whole)), whole)


def test_defaults_that_nobody_asked_for_are_not_named(tiny):
    setup = build(resolve(merge(tiny, {"optimizer": {"momentum": 0.1}})))
    assert not idle_settings(setup, tiny)
