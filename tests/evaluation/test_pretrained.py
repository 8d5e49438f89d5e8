"""What an objective trains is what every later command uses: a run that pools its patch tokens."""

import pytest
import timm
import torch
from safetensors.torch import load_file

from ssl_kit.commands.exports.checked import write_checked
from ssl_kit.evaluation.comparing.plan import plan
from ssl_kit.evaluation.pretrained import from_init, from_run
from ssl_kit.plugins.objectives.distillation import DistillationConfig, load_teacher
from ssl_kit.reports.html.embedding import initial
from ssl_kit.training.progress import Progress
from ssl_kit.training.setup import build, resolve
from ssl_kit.training.start import start

POOLED = {"global_pool": "avg", "fc_norm": False}


@pytest.fixture(scope="module")
def settings(shared_images):
    return {
        "domain": "natural",
        "data": {"path": str(shared_images)},
        "encoder": {"name": "test_vit", "image_size": 32},
        "objective": {"name": "simmim"},
        "train": {"epochs": 1, "batch_size": 8, "workers": 0, "precision": "fp32"},
    }


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    """Masked image modeling on a ViT, whose class token it does not train."""
    return start([settings], tmp_path_factory.mktemp("runs") / "run", Progress(quiet=True))[0]


@torch.no_grad()
def test_plain_timm_gives_the_features_by_the_arguments_in_encoder_json(run):
    facts, encoder = run.read_json("encoder.json"), from_run(run).encoder.eval()
    plain = timm.create_model("test_vit", **facts["arguments"]).eval()
    plain.load_state_dict(load_file(run.encoder))
    x = torch.randn(2, 3, encoder.image_size, encoder.image_size)
    tokens = encoder.forward_tokens(x)
    torch.testing.assert_close(plain(x), encoder(x))
    torch.testing.assert_close(encoder(x), tokens[:, 1:].mean(dim=1))


@pytest.mark.parametrize(
    "kind", ["safetensors", "timm", pytest.param("torch_export", marks=pytest.mark.slow)]
)
def test_exports_pool_what_was_trained(run, tmp_path, kind):
    assert write_checked(run, kind, tmp_path / "out") <= 1e-5


def test_the_start_of_a_training_says_what_is_pooled(settings, capsys):
    Progress().start(build(resolve(settings)))
    text = capsys.readouterr().err
    assert "Features: the mean of the patch tokens, not the class token, which simmim does" in text


@pytest.mark.parametrize("init", [".", "encoder.safetensors"])
def test_a_training_that_continues_a_run_pools_as_it_does(run, settings, init):
    more = {"encoder": {"init": str(run.folder / init)}, "objective": {"name": "simclr"}}
    setup = build(resolve(settings, more))
    assert setup.encoder.options == POOLED
    assert "; built with its global_pool='avg', fc_norm=False; " in setup.loaded


def test_weights_of_a_run_pool_as_it_does(run, settings):
    dataset = build(resolve(settings)).dataset
    model = from_init(str(run.encoder), "test_vit", 32, dataset, range(8))
    assert model.encoder.options == POOLED


def test_a_teacher_pools_as_its_run_does(run):
    teacher, _ = load_teacher(DistillationConfig(weights=str(run.folder)), 3, 32)
    assert teacher.options == POOLED


def test_arms_of_random_weights_pool_as_the_run_does_and_others_as_they_were_trained(run):
    asked = plan([str(run.folder), "scratch", "imagenet", "random-frozen"], evaluation="knn")
    assert [asked.arguments(arm) for arm in asked.arms[1:]] == [POOLED, {}, POOLED]


def test_the_report_compares_with_random_weights_that_pool_alike(run):
    assert initial(run, from_run(run)).encoder.options == POOLED


def test_the_start_of_a_run_has_the_random_weights_of_its_training(run, settings):
    start_weights = initial(run, from_run(run)).encoder.body.state_dict()
    trained_from = build(resolve(settings)).encoder.body.state_dict()
    assert start_weights.keys() == trained_from.keys()
    assert all(torch.equal(value, trained_from[name]) for name, value in start_weights.items())
