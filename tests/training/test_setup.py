from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ssl_kit import DataError, Index, Objective, Output, PluginError, RunError, UsageError, View
from ssl_kit.cli import main
from ssl_kit.core.discovery import domains, objectives
from ssl_kit.core.registry import Entry
from ssl_kit.data.channel_statistics import statistics_for
from ssl_kit.data.opening import DataConfig
from ssl_kit.data.splits import split
from ssl_kit.nn import create_encoder
from ssl_kit.training.idle import idle_settings
from ssl_kit.training.layers import merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.setup import build, pool_of, resolve
from ssl_kit.training.start import start


@pytest.fixture
def statistics(memory_dataset):
    def found(init, channels):
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 20, (8, 8, len(channels))).astype(np.uint8) for _ in range(4)]
        dataset = memory_dataset(images)
        dataset.channels = channels
        encoder = create_encoder("test_resnet", len(channels), 16)
        encoder.body.pretrained_cfg.update(mean=(0.5, 0.4, 0.3), std=(0.3, 0.2, 0.1))
        return statistics_for(encoder, init, dataset, np.arange(4))

    return found


def test_pretrained_weights_get_what_they_expect(statistics):
    found = statistics("weights.safetensors", ("blue", "nir", "red"))
    np.testing.assert_allclose(found.mean, [0.3, 0.4, 0.5])
    np.testing.assert_allclose(found.std, [0.1, 0.2, 0.3])


def test_random_weights_get_what_is_measured(statistics):
    found = statistics("scratch", ("gray",))
    np.testing.assert_allclose(found.mean, [9.5 / 255], atol=0.005)
    np.testing.assert_allclose(found.std, [np.sqrt(399 / 12) / 255], atol=0.005)


class OneView(Objective):
    """The size of the features."""

    paper = "https://example.org"

    @classmethod
    def views(cls, config, size):
        return (View(size),)

    def forward(self, batch, phase=0):
        return Output(self.encoder(batch.views[0]).square().mean())


class TwoPhases(OneView):
    phases = 2


class NeedsTokens(OneView):
    needs = frozenset({"tokens"})


class OddPolicy(OneView):
    @classmethod
    def views(cls, config, size):
        return (View(size, policy="sideways"),)


class NoImages(OneView):
    def prepare(self, training):
        raise UsageError("There is nothing to prepare. Choose another objective.")


class NoPairs(OneView):
    def forward(self, batch, phase=0):
        raise UsageError("No two images belong together. Choose another objective.")


TEST_OBJECTIVES = {
    "one_view": OneView,
    "two_phases": TwoPhases,
    "needs_tokens": NeedsTokens,
    "odd_policy": OddPolicy,
    "no_images": NoImages,
    "no_pairs": NoPairs,
}
REFUSED = {
    "accumulate": ({"objective": "two_phases", "train": {"accumulate": 2}}, "takes 2 optimizer st"),
    "needs": ({"objective": "needs_tokens"}, "needs an encoder with tokens"),
    "policy": ({"objective": "odd_policy"}, "'sideways'"),
    "prepare": ({"objective": "no_images"}, "nothing to prepare"),
    "pairing": ({"data": {"pair_by": "moon"}}, "'moon'"),
    "weights": ({"encoder": {"init": "no_such_file.safetensors"}}, "no_such_file"),
    "architecture": ({"encoder": {"name": "no_such_net"}}, "no_such_net"),
    "fp16": ({"train": {"precision": "fp16"}}, "fp16 needs a GPU"),
}


@pytest.fixture
def registered(monkeypatch):
    """Registers the objectives of this file for one test."""
    list(objectives)  # fills the registry
    for name, kind in TEST_OBJECTIVES.items():
        monkeypatch.setitem(objectives._entries, name, Entry(name, kind))


def one_image(settings, shared_images):
    return merge(settings, {"data": {"path": str(shared_images / "disc" / "0.png")}})


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_before_there_is_a_folder(tiny, tmp_path, registered, case):
    more, message = REFUSED[case]
    settings = merge(merge(tiny, {"objective": "one_view"}), more)
    if case == "fp16" and torch.accelerator.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError, match=message):
        build(resolve(settings))
    with pytest.raises(UsageError, match=message):
        start([settings], tmp_path / "run", Progress(quiet=True))
    assert not (tmp_path / "run").exists()


def test_some_classes_alone_are_trained_on_and_no_test_image_is(tiny, tmp_path, capsys):
    whole = build(resolve(tiny))
    setup = build(resolve(merge(tiny, {"data": {"classes": "disc"}, "train": {"batch_size": 4}})))
    index = setup.dataset.index
    assert {index.label(i) for i in setup.pool} == {"disc"}
    assert setup.splits.test.tolist() == whole.splits.test.tolist()
    assert not np.intersect1d(setup.pool, setup.splits.test).size
    assert len(setup.pool) + setup.left_out == len(whole.pool)
    assert len(setup.facts["groups"]) == len(setup.pool)
    Progress().start(setup)
    said = capsys.readouterr().err
    assert f"{len(setup.pool)} images (red/green/blue) of 'disc', {setup.left_out} of" in said


def test_a_larger_share_of_the_groups_holds_a_smaller_one(tiny, capsys):
    shares = {"train": {"batch_size": 4}}
    whole, half, quarter = (
        build(resolve(merge(tiny, {**shares, "data": {"share": share}})))
        for share in (1.0, 0.5, 0.25)
    )
    assert len(half.facts["groups"]) == round(len(whole.facts["groups"]) / 2)
    assert set(quarter.pool) < set(half.pool) < set(whole.pool)
    assert half.left_out == 0
    Progress().start(half)
    assert f"{len(half.pool)} images (red/green/blue), a share of 0.5 of" in capsys.readouterr().err


@pytest.mark.parametrize("exists", [False, True])
def test_what_only_a_batch_shows_leaves_no_new_folder(tiny, tmp_path, registered, exists):
    out = tmp_path / "run"
    if exists:
        out.mkdir()
    with pytest.raises(UsageError, match="belong together"):
        start([merge(tiny, {"objective": "no_pairs"})], out, Progress(quiet=True))
    assert out.exists() == exists


@pytest.mark.parametrize(
    ("error", "stays"),
    [(ZeroDivisionError(), False), (RunError("Go on with 'ssl-kit train --resume RUN'."), True)],
    ids=["bug", "to go on with"],
)
def test_an_error_before_the_first_step_leaves_no_new_folder(
    tiny, tmp_path, monkeypatch, error, stays
):
    def fail(*args):
        raise error

    monkeypatch.setattr("ssl_kit.training.loop.make_optimizer", fail)
    for name, exists in (("new", False), ("old", True)):
        if exists:
            (tmp_path / name).mkdir()
        with pytest.raises(type(error)):
            start([tiny], tmp_path / name, Progress(quiet=True))
        assert (tmp_path / name).exists() == (exists or stays)


def test_too_few_images_are_refused_before_there_is_a_folder(tiny, shared_images, tmp_path):
    with pytest.raises(UsageError, match="Only 1 image to train on"):
        start([one_image(tiny, shared_images)], tmp_path / "run", Progress(quiet=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (lambda view, channels: [], PluginError),
        (lambda view, channels: (_ for _ in ()).throw(DataError("no such channel")), DataError),
    ],
    ids=["wrong shape", "raises"],
)
def test_a_policy_that_fails_is_refused_before_there_is_a_folder(
    tiny, tmp_path, monkeypatch, policy, error
):
    monkeypatch.setitem(domains["natural"].policies, "default", policy)
    with pytest.raises(error):
        start([tiny], tmp_path / "run", Progress(quiet=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--set", "objective=two_phases", "--set", "train.accumulate=2"),
        ("--objective", "odd_policy"),
        ("--objective", "needs_tokens"),
        ("--pair-by", "moon"),
    ],
)
def test_the_command_line_can_be_mended_and_given_again(
    tiny, shared_images, tmp_path, registered, options
):
    command = ["train", "--domain", "natural", "--data", str(shared_images), "--image-size", "32",
               "--encoder", "test_resnet", "--out", str(tmp_path / "run"), "--epochs", "1",
               "--batch-size", "8", "--workers", "0", "--quiet"]  # fmt: skip
    done = CliRunner().invoke(main, [*command, *options])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    mended = CliRunner().invoke(main, [*command, "--objective", "one_view"])
    assert mended.exit_code == 0, mended.output


def test_optimizer_settings_of_a_paper_are_defaults_that_can_be_set():
    dino = {"domain": "natural", "objective": "dino", "data": {"path": "."}}
    paper = resolve(dino).optimizer
    assert (paper.clip, paper.weight_decay, paper.weight_decay_end) == (3.0, 0.04, 0.4)
    assert resolve(dino, {"optimizer": {"weight_decay_end": 0.1}}).optimizer.weight_decay_end == 0.1


def test_a_setup_is_frozen_and_complete(tiny):
    setup = build(resolve(tiny))
    assert (setup.batch_size, setup.steps_per_epoch) == (8, 3)
    assert all(0 < m < 1 for m in setup.statistics.mean + setup.statistics.std)
    with pytest.raises(FrozenInstanceError):
        setup.statistics = None


def test_the_batch_is_no_larger_than_the_images(tiny):
    setup = build(resolve(merge(tiny, {"train": {"batch_size": 500}})))
    assert (setup.batch_size, setup.steps_per_epoch) == (24, 1)


def test_accumulated_batches_are_parts_of_one_large_batch(tiny):
    setup = build(resolve(tiny, {"train": {"batch_size": 5, "accumulate": 2}}))
    assert (setup.batch_size, setup.images_per_step, setup.steps_per_epoch) == (5, 10, 2)
    setup = build(resolve(tiny, {"train": {"batch_size": 20, "accumulate": 3}}))
    assert (setup.batch_size, setup.images_per_step, setup.steps_per_epoch) == (8, 24, 1)


def test_more_batches_in_a_step_than_the_images_allow_are_refused(tiny):
    match = r"^train.accumulate=20 needs 40 images, 2 for .* there are 24 .* Lower it to at most 12"
    with pytest.raises(UsageError, match=match):
        build(resolve(tiny, {"train": {"accumulate": 20}}))
    assert build(resolve(tiny, {"train": {"accumulate": 12}})).batch_size == 2


@pytest.mark.parametrize(
    ("domain", "views", "idle"),
    [
        ("natural", {"min_area": 0.1, "policy": "weak"}, []),
        ("medical", {"min_area": 0.1}, ["views.min_area = 0.1"]),  # it shows 40 % at least
        ("medical", {"min_area": 0.7}, []),
    ],
)
def test_settings_of_views_that_change_nothing_are_named(tiny, domain, views, idle):
    setup = build(resolve(merge(tiny, {"domain": domain, "views": views})))
    assert [*idle_settings(setup, {"views": views})] == idle


def test_validation_images_and_other_views_are_left_out_on_request(tiny):
    usual = build(resolve(tiny))
    changes = {"data": {"keep_out": "val"}, "views": {"policy": "weak", "min_area": 0.5}}
    setup = build(resolve(tiny, changes))
    assert len(setup.splits.val) > 0
    assert not set(setup.pool) & {*setup.splits.val, *setup.splits.test}
    assert set(usual.pool) == {*setup.pool, *setup.splits.val}
    assert setup.views == (View(32, scale=(0.5, 1.0), policy="weak"),) * 2


def test_earlier_images_of_groups_that_are_kept_out_are_left_out_too():
    groups, times = np.divmod(np.arange(40), 4)
    positions = np.column_stack([groups, times]).astype(np.float32)
    index = Index.build(
        [f"{i}" for i in range(40)], groups=[f"{g}" for g in groups], positions=positions
    )
    parts = split(index, 0.2)
    pools = [
        pool_of(index, parts, DataConfig(until=0.5, gap=0, keep_out=keep_out))
        for keep_out in ("test", "val")
    ]
    assert pools[0].tolist() == [i for i in range(40) if i % 4 < 2]
    assert pools[1].tolist() == [i for i in sorted(parts.train) if i % 4 < 2]
