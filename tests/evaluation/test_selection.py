import numpy as np
import pytest

from ssl_kit.evaluation.selection import (
    choose,
    choose_epochs_then_refit,
    choose_then_refit,
    log_likelihood,
)

LABELS = np.array([0, 0, 1])


def predictions(right):
    """Predictions that give the right class of each image this probability."""
    wrong = 1 - right
    return LABELS, np.array([[right, wrong], [right, wrong], [wrong, right]])


class Scripted:
    """A model whose predictions after each epoch are as good as a script says."""

    def __init__(self, *script):
        self.script, self.epochs, self.validated = script, 0, []

    def epoch(self):
        self.epochs += 1
        return float(self.epochs)

    def validate(self):
        self.validated.append(self.epochs)
        return predictions(self.script[self.epochs - 1])


def test_the_likelihood_is_that_of_the_right_classes():
    expected = np.log([0.7, 0.7, 0.7]).mean()
    assert log_likelihood(*predictions(0.7)) == pytest.approx(expected)
    assert np.isfinite(log_likelihood(*predictions(0.0)))


def test_the_first_of_the_best_candidates_is_chosen():
    candidates = [
        (c, predictions(right)) for c, right in zip("abcd", (0.5, 0.8, 0.8, 0.6), strict=True)
    ]
    setting, (_, probabilities) = choose(candidates)
    assert setting == "b"
    assert probabilities[0, 0] == 0.8


def test_patience_ends_the_search():
    tried = []

    def candidates():
        for n, right in enumerate((0.5, 0.8, 0.7, 0.6, 0.9)):
            tried.append(n)
            yield n, predictions(right)

    assert choose(candidates(), patience=2)[0] == 1
    assert tried == [0, 1, 2, 3]


def test_the_chosen_setting_is_refitted():
    candidates = ((c, predictions(c)) for c in (0.5, 0.9, 0.7))
    fitted = choose_then_refit(candidates, lambda c: f"model of {c}", otherwise=0.1)
    assert (fitted.model, fitted.setting) == ("model of 0.9", 0.9)
    np.testing.assert_array_equal(fitted.validation[1], predictions(0.9)[1])


def test_without_a_validation_part_the_other_setting_is_fitted():
    fitted = choose_then_refit((), lambda c: f"model of {c}", otherwise=0.1)
    assert (fitted.model, fitted.setting, fitted.validation) == ("model of 0.1", 0.1, None)


def test_epochs_are_chosen_on_one_model_and_trained_on_another():
    models, calls = {}, []

    def make(with_val):
        models[with_val] = Scripted(0.5, 0.6, 0.9, 0.7)
        return models[with_val]

    fitted = choose_epochs_then_refit(
        make, 4, checks={1, 3, 4}, advance=lambda *call: calls.append(call)
    )
    assert models[False].validated == [1, 3, 4]
    assert fitted.setting == fitted.model.epochs == 3
    assert fitted.model is models[True]
    assert not fitted.model.validated
    assert calls == [(n, 4, n) for n in (1, 2, 3, 4)] + [(n, 3, n) for n in (1, 2, 3)]


def test_without_checks_all_epochs_are_trained():
    fitted = choose_epochs_then_refit(lambda with_val: Scripted(), 5, checks=())
    assert (fitted.setting, fitted.model.epochs, fitted.validation) == (5, 5, None)
