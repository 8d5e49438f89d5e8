"""New candidates by Optuna's TPE sampler, and what mattered among those that were tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.errors import UsageError
from .space import Params, Space

History = Sequence[tuple[Params, float]]
"""Candidates with their results, the higher the better."""

RANDOM = 8  # candidates at the start that are drawn at random
_FEWEST = 4  # candidates that importance is computed from
_KEPT = 0.7  # share of the settings of a candidate near the default that are the default's


def optuna_module() -> Any:
    """Imports Optuna.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            "The search needs Optuna. Install it with: pip install 'ssl-kit[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def suggest(space: Space, history: History, seed: int, fixed: Params | None = None) -> Params:
    """Suggests a candidate by a tree-structured Parzen estimator.

    Watanabe 2023, https://arxiv.org/abs/2304.11127. The suggestion is a function of the arguments,
    so that an interrupted search goes on as if it had not been interrupted.

    Args:
        space: What is searched.
        history: The candidates so far.
        seed: Seed of the sampler.
        fixed: Part of the candidate that is given.
    """
    sampler = optuna_module().samplers.TPESampler(seed=seed, n_startup_trials=RANDOM)
    study = _study(space, history, sampler)
    if fixed:
        study.enqueue_trial(dict(fixed))
    return dict(study.ask(_distributions(space)).params)


def near_default(space: Space, seed: int) -> Params:
    """Draws the settings that a candidate has in common with the default.

    Most changes of a good default make it worse, so that a candidate that changes everything has
    little chance. Defaults as prior knowledge: Mallik et al. 2023, PriorBand,
    https://arxiv.org/abs/2306.12370.

    Args:
        space: What is searched.
        seed: Of the draw.
    """
    kept = np.random.default_rng(seed).random(len(space.dimensions)) < _KEPT
    return {d.key: d.default for d, keep in zip(space.dimensions, kept, strict=True) if keep}


def importances(space: Space, history: History) -> dict[str, float]:
    """Returns the share of the variance of the results that each setting explains, by fANOVA.

    Hutter et al. 2014, https://proceedings.mlr.press/v32/hutter14.html. It is empty where there
    are too few results, or no differences.
    """
    if len(history) < _FEWEST or len({value for _, value in history}) < 2:
        return {}
    optuna = optuna_module()
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=0)
    study = _study(space, history, optuna.samplers.RandomSampler(seed=0))
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # of results that hardly differ
        return {}
    return {key: float(share) for key, share in shares.items()}


def _study(space: Space, history: History, sampler: Any) -> Any:
    optuna = optuna_module()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = _distributions(space)
    for params, value in history:
        study.add_trial(
            optuna.trial.create_trial(params=dict(params), distributions=distributions, value=value)
        )
    return study


def _distributions(space: Space) -> dict[str, Any]:
    kinds = optuna_module().distributions
    return {
        d.key: kinds.CategoricalDistribution(d.choices)
        if d.choices
        else kinds.FloatDistribution(*d.span, log=True)
        for d in space.dimensions
    }
