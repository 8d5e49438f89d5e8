import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_kit import RunError, UsageError
from ssl_kit.core.config import validate
from ssl_kit.core.discovery import domains
from ssl_kit.data.in_memory import InMemory, kept_in_memory
from ssl_kit.data.splits import Splits, split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.evaluation.classifier_training import EncoderTraining, HeadTraining
from ssl_kit.evaluation.finetuning import (
    epochs_for,
    fine_tune,
    score,
    still_improving,
    validation_epochs,
)
from ssl_kit.evaluation.finetuning_options import FineTuningConfig
from ssl_kit.evaluation.pretrained import from_init
from ssl_kit.plugins.evaluations.finetune import FineTune


def colored(memory_dataset, n=40, broken=()):
    """Images of one color and a little noise; red ones are "a", blue ones "b"."""
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 60, (n, 24, 24, 3), dtype=np.uint8))
    for i, image in enumerate(images):
        image[..., 2 * (i % 2)] += 120
    for i in broken:
        images[i] = "broken"
    return memory_dataset(images, labels=["a", "b"] * (n // 2))


@pytest.fixture
def data(memory_dataset):
    dataset = colored(memory_dataset)
    return EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"], workers=0)


@pytest.fixture
def model(data):
    return from_init("scratch", "test_resnet", 24, data.dataset, data.splits.train)


def config(**options):
    return FineTuningConfig(**{"epochs": 2, "batch_size": 8, **options})


def without_val(data):
    return data.limited(np.concatenate([data.parts.train[:4], data.parts.val[:0]]))


@pytest.mark.parametrize(("images", "epochs"), [(20, 100), (200, 40), (800, 10), (10**6, 10)])
def test_epochs_show_8000_images_within_limits(images, epochs):
    assert epochs_for(images) == epochs
    assert epochs_for(images, 32_000) == 4 * epochs


@pytest.mark.parametrize(
    ("likelihoods", "improving"),
    [
        ((-2, -1), None),
        ((-3, -2, -1), True),
        ((-3, -1, -0.99), False),
        ((-9, -8, -7, -6, -5, -4, -3, -2, -1, -2), True),
        ((-9, -8, -1, -6, -5, -4, -3, -2, -1, -2), False),
    ],
)
def test_it_was_improving_if_the_likelihood_rose_in_the_last_third(likelihoods, improving):
    assert still_improving([(0.5, likelihood) for likelihood in likelihoods]) is improving


def test_descriptors_have_nothing_to_fine_tune(data):
    fixed = from_init("scratch", "handcrafted", 24, data.dataset, data.splits.train)
    with pytest.raises(UsageError, match="'handcrafted' has no weights to train"):
        fine_tune(fixed, data, config())


@pytest.mark.parametrize("freeze", ["all", "none", "head-then-all", "last:1", "quartile"])
def test_it_learns_colors(data, model, freeze):
    found = fine_tune(model, data, config(freeze=freeze, epochs=6, lr=0.05)).result
    assert found.main == "accuracy"
    assert found.metrics["accuracy"].value > 0.8


@pytest.mark.parametrize(
    ("options", "idle", "warning"),
    [
        (
            {"freeze": "all"},
            {"image_sizes": (16,), "policy": "strong", "layer_decay": 0.5},
            "image_sizes, policy and layer_decay change nothing, because freeze=all trains the "
            "head alone, on features that are computed once. Leave them out.",
        ),
        (
            {"epochs": 2},
            {"images": 8},
            "images changes nothing, because epochs=2 sets the length. Leave it out.",
        ),
        (
            {"balance": "weights"},
            {"balance_beta": 0.5},
            "balance_beta changes nothing, because balance=weights has no beta. Leave it out.",
        ),
    ],
)
def test_options_that_change_nothing_beside_others_are_named(
    data, model, caplog, options, idle, warning
):
    plain, more = config(**options), config(**options, **idle)
    FineTune(more).check(data)
    FineTune(more).check(without_val(data))  # as of a label budget: nothing is said again
    assert caplog.messages == [warning]
    assert [*plain.idle()] == []
    one, two = (fine_tune(model, data, each).classifier for each in (plain, more))
    assert torch.equal(one.head.weight, two.head.weight)


@pytest.mark.parametrize("freeze", ["none", "head-then-all", "last:1", "quartile"])
@pytest.mark.parametrize("options", [{"layer_decay": 0.5}, {"policy": "default"}])
def test_options_that_change_something_are_not_named(data, model, freeze, options):
    plain, other = config(freeze=freeze, epochs=1), config(freeze=freeze, epochs=1, **options)
    assert [*other.idle()] == []
    one, two = (fine_tune(model, data, each).classifier for each in (plain, other))
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("balance", ["sampler", "weights", "effective", "logits", "focal"])
def test_it_learns_with_every_balance(data, model, balance):
    found = fine_tune(model, data, config(balance=balance, epochs=6, lr=0.05)).result
    assert found.metrics["accuracy"].value == 1


def test_again_is_the_same_and_nothing_else_changes(data, model):
    before, state = copy.deepcopy(model.encoder.state_dict()), torch.get_rng_state()
    one, two = (fine_tune(model, data, config()) for _ in "ab")
    pairs = zip(one.classifier.parameters(), two.classifier.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(state, torch.get_rng_state())
    after = model.encoder.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_another_seed_is_another_training(data, model):
    one, two = (fine_tune(model, data, config(seed=seed)).classifier for seed in (0, 1))
    assert not torch.equal(one.head.weight, two.head.weight)


def test_the_test_part_has_no_influence(data, model):
    parts = data.splits
    fewer = replace(data, splits=Splits(parts.train, parts.val, parts.test[:2]))
    one, two = (fine_tune(model, some, config()) for some in (data, fewer))
    assert torch.equal(one.classifier.head.weight, two.classifier.head.weight)
    assert one.result.details["epochs"] == two.result.details["epochs"]


def test_a_head_trained_on_features_gives_the_same_answers_on_images(data, model):
    fit = HeadTraining(model, data, config(freeze="all"), 5, with_val=True)
    for _ in range(5):
        fit.epoch()
    _, expected, _ = fit.predict("test")
    seen = replace(model, encoder=fit.classifier())
    logits, _ = data.embed(seen, data.parts.test)
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(1), expected, atol=1e-4)


def test_head_then_all_starts_from_a_trained_head(data, model):
    plain = EncoderTraining(model, data, config(), 5, True).classifier()
    ready = EncoderTraining(model, data, config(freeze="head-then-all"), 5, True).classifier()
    assert not plain.head.weight.any()
    assert ready.head.weight.abs().max() > 0
    assert all(parameter.requires_grad for parameter in ready.parameters())


def of(right):
    """Labels, and probabilities whose first column is given."""
    right = np.array(right)
    return np.array([0, 0, 1]), np.stack([right, 1 - right], 1)


def test_rare_classes_count_as_much_as_common_ones():
    common, rare = (0.9, 0.9, 0.6), (0.9, 0.4, 0.4)  # accuracy 2/3 both; recalls 1, 0 and 1/2, 1
    assert score(2, *of(rare)) > score(2, *of(common))


def test_of_equal_accuracies_the_likelier_is_better():
    assert score(2, *of((0.9, 0.9, 0.1))) > score(2, *of((0.9, 0.9, 0.45)))


def test_at_most_ten_validations_and_one_after_the_last_epoch():
    assert len(validation_epochs(57)) == 10
    assert max(validation_epochs(57)) == 57
    assert validation_epochs(3) == {1, 2, 3}


def test_without_validation_images_all_epochs_are_taken(data, model):
    few = without_val(data)
    assert not len(few.parts.val)
    said = []
    found = fine_tune(model, few, config(epochs=3), lambda *now: said.append(now[:2])).result
    assert found.details["epochs"] == 3
    assert said == [(1, 3), (2, 3), (3, 3)]


def test_validation_images_are_learned_from_in_the_end(data, model):
    seen = []
    for with_val in (False, True):
        fit = EncoderTraining(model, data, config(), 1, with_val)
        seen.append(fit._training.steps_per_epoch * 8)
    assert seen == [24, 32]


def test_views_of_several_sizes_are_trained_on_together(data, model):
    fit = EncoderTraining(model, data, config(image_sizes=(16, 32)), 1, True)
    views, labels = next(fit._batches(data.parts.train))
    assert [tuple(view.shape) for view in views] == [(8, 3, 16, 16), (8, 3, 32, 32)]
    assert len(labels) == 8
    fit.epoch()
    _, both, _ = fit.predict("test")
    fit._sizes = (16,)
    _, small, _ = fit.predict("test")
    fit._sizes = (32,)
    _, large, _ = fit.predict("test")
    np.testing.assert_allclose(both, (small + large) / 2, atol=1e-6)


def test_an_unreadable_image_lends_its_label_to_no_other(memory_dataset):
    dataset = colored(memory_dataset, broken=(4, 9))
    data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"], workers=0)
    model = from_init("scratch", "test_resnet", 24, dataset, np.arange(3))
    fit = EncoderTraining(model, data, config(batch_size=40), 1, True)
    everything = np.arange(40)
    views, labels = next(fit._batches(everything))
    assert len(labels) == 38
    redder = views[0][:, 0].mean((1, 2)) > views[0][:, 2].mean((1, 2))
    assert torch.equal(redder, labels == 0)
    assert next(itertools.islice(fit._batches(everything), 1, None))[1].shape == (38,)


def test_a_loss_that_is_not_finite_stops(data, model):
    with pytest.raises(RunError, match="Lower its lr"):
        fine_tune(model, data, config(lr=1e30, epochs=5))


@pytest.mark.parametrize("freeze", ["some", "last:0", "last:-1", "last"])
def test_an_unknown_way_to_freeze(freeze):
    with pytest.raises(UsageError, match=r"Wrong value for 'finetune\.freeze'"):
        validate(FineTuningConfig, {"freeze": freeze}, "finetune")


def test_images_in_memory_are_read_once(memory_dataset, monkeypatch):
    dataset = colored(memory_dataset, broken=(3,))
    kept = kept_in_memory(dataset, np.arange(10), workers=0)
    assert isinstance(kept, InMemory)
    assert kept.fingerprint() == dataset.fingerprint()
    assert (kept.value_range == dataset.value_range).all()
    expected = dataset[5].image
    monkeypatch.setattr(dataset, "images", ["gone"] * 40)
    assert (kept[5].image == expected).all()
    for i in (3, 20):  # was broken, was not asked for
        with pytest.raises(Exception, match="gone"):
            kept[i]


def test_what_does_not_fit_into_memory_is_read_again(memory_dataset, monkeypatch):
    dataset = colored(memory_dataset)
    monkeypatch.setattr("ssl_kit.data.in_memory.fits_in_memory", lambda *asked: False)
    assert kept_in_memory(dataset, np.arange(10)) is dataset
