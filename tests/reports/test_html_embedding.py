import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from ssl_kit import evaluate
from ssl_kit.data.splits import split
from ssl_kit.evaluation.pretrained import from_run
from ssl_kit.evaluation.requests import open_images
from ssl_kit.reports.html import embedding
from ssl_kit.training.setup import build

RNG = np.random.default_rng(0)


@pytest.fixture
def features():
    return (RNG.normal(size=(40, 8)) * 3.0 ** -np.arange(8)).astype(np.float32)


def test_the_spectrum_is_that_of_the_covariance(features):
    values = np.linalg.eigvalsh(np.cov(features.T.astype(np.float64)))[::-1]
    np.testing.assert_allclose(embedding.spectrum(features), values / values.sum(), rtol=1e-6)


def test_constant_features_have_no_spectrum():
    assert len(embedding.spectrum(np.ones((5, 3), np.float32))) == 0


def test_the_map_is_that_of_principal_components(features):
    title, places = embedding.maps(features)[0]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    model = PCA(2).fit(unit.astype(np.float64))
    expected = model.transform(unit.astype(np.float64))
    np.testing.assert_allclose(np.abs(places), np.abs(expected), atol=1e-5)
    assert f"{100 * model.explained_variance_ratio_.sum():.0f} %" in title


def test_features_of_one_dimension_have_a_map_too():
    places = embedding.maps(np.linspace(1, 2, 5, dtype=np.float32)[:, None])[0][1]
    assert places.shape == (5, 2)


def test_umap_is_used_where_it_is_installed(features, monkeypatch):
    class UMAP:
        def __init__(self, **options):
            assert options["metric"] == "cosine"

        def fit_transform(self, rows):
            return rows[:, :2]

    fake = ModuleType("umap")
    fake.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", fake)
    monkeypatch.setattr(embedding, "find_spec", lambda name: name == "umap")
    assert [title.split()[0] for title, _ in embedding.maps(features)] == ["Two", "UMAP"]


def test_neighbors_are_the_most_similar_of_other_groups(features):
    groups, labels = np.arange(40) % 10, np.arange(40) % 3
    found = embedding.neighbors(features, labels, groups, np.arange(40), queries=4, k=3)
    same = []
    for q in range(40):
        cosines = {
            i: features[q] @ features[i] / np.linalg.norm(features[q]) / np.linalg.norm(features[i])
            for i in range(40) if groups[i] != groups[q]
        }  # fmt: skip
        nearest = sorted(cosines, key=lambda i: -cosines[i])[:3]
        same += [labels[i] == labels[q] for i in nearest]
        if q in found.queries:
            row = found.queries.tolist().index(q)
            assert found.nearest[row].tolist() == nearest
            np.testing.assert_allclose(found.cosines[row], [cosines[i] for i in nearest], rtol=1e-4)
    assert found.across
    assert found.same == pytest.approx(np.mean(same))
    assert found.chance == pytest.approx(((np.bincount(labels) / 40) ** 2).sum())


def test_an_image_is_never_its_own_neighbor(features):
    found = embedding.neighbors(features, np.full(40, -1), np.zeros(40), np.arange(40))
    assert not found.across
    assert np.isnan(found.same)
    assert not (found.nearest == found.queries[:, None]).any()


def test_queries_spread_over_the_classes(features):
    labels = np.repeat([2, 0, 1], [30, 5, 5])
    eligible = np.arange(5, 40)
    found = embedding.neighbors(features, labels, np.arange(40), eligible, queries=7)
    assert set(labels[found.queries]) == {0, 1, 2}
    assert found.queries.min() >= 5


def test_the_initial_encoder_is_that_which_training_started_from(finished_run):
    start = embedding.initial(finished_run, from_run(finished_run))
    expected = build(finished_run.config).encoder.body.state_dict()
    for name, tensor in start.encoder.body.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_initial_weights_that_are_gone_are_left_out(finished_run):
    config = finished_run.config
    changed = config.model_copy(
        update={"encoder": config.encoder.model_copy(update={"init": "gone.safetensors"})}
    )
    run = type(finished_run)(finished_run.folder)
    run.config = changed
    assert embedding.initial(run, from_run(finished_run)) is None


def test_the_quick_knn_is_what_evaluate_finds(finished_run):
    domain, dataset, config = open_images(str(finished_run.folder), "", "", "")
    splits = split(dataset.index, config.holdout)
    found = embedding.embed_sample(finished_run, from_run(finished_run), dataset, domain)
    quick = embedding.quick_knn(found, dataset, splits, domain)
    whole = evaluate(finished_run, evaluation="knn")["knn"]
    assert quick.gain.value == pytest.approx(whole.gain.value)
    for ours, theirs in zip(quick.results.values(), whole.results.values(), strict=True):
        assert ours.metrics["accuracy"].value == pytest.approx(theirs.metrics["accuracy"].value)


def test_without_labels_there_is_no_quick_knn(finished_run, memory_dataset):
    domain, dataset, _ = open_images(str(finished_run.folder), "", "", "")
    images = [RNG.integers(0, 255, (40, 40, 3), dtype=np.uint8) for _ in range(6)]
    plain = memory_dataset(images)
    plain.channels = dataset.channels
    found = embedding.embed_sample(finished_run, from_run(finished_run), plain, domain)
    assert len(found.features) == 6
    assert embedding.quick_knn(found, plain, split(plain.index, 0.2), domain) is None
