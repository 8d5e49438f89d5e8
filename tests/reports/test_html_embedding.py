import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from ssl_kit.evaluation.pretrained import from_run
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
    assert [title.split()[0] for title, _ in embedding.maps(features)] == ["First", "UMAP"]


def test_neighbors_are_the_most_similar_of_other_groups(features):
    groups, labels = np.arange(40) % 10, np.arange(40) % 3
    neighborhood = embedding.neighbors(features, labels, groups, np.arange(40), queries=4, k=3)
    for q in range(40):
        cosines = {
            i: features[q] @ features[i] / np.linalg.norm(features[q]) / np.linalg.norm(features[i])
            for i in range(40) if groups[i] != groups[q]
        }  # fmt: skip
        nearest = sorted(cosines, key=lambda i: -cosines[i])[:3]
        if q in neighborhood.queries:
            row = neighborhood.queries.tolist().index(q)
            assert neighborhood.nearest[row].tolist() == nearest
            np.testing.assert_allclose(
                neighborhood.cosines[row], [cosines[i] for i in nearest], rtol=1e-4
            )
    assert neighborhood.across


def test_an_image_is_never_its_own_neighbor(features):
    neighborhood = embedding.neighbors(features, np.full(40, -1), np.zeros(40), np.arange(40))
    assert not neighborhood.across
    assert not (neighborhood.nearest == neighborhood.queries[:, None]).any()


def test_queries_spread_over_the_classes(features):
    labels = np.repeat([2, 0, 1], [30, 5, 5])
    eligible = np.arange(5, 40)
    neighborhood = embedding.neighbors(features, labels, np.arange(40), eligible, queries=7)
    assert set(labels[neighborhood.queries]) == {0, 1, 2}
    assert neighborhood.queries.min() >= 5


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
