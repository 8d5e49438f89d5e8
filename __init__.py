"""ssl-kit: self-supervised pre-training of any timm encoder, each field's knowledge in plugins.

The names below are all that a plugin needs. They are imported on first use, so that importing
ssl_kit costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks PyPI on import otherwise

if TYPE_CHECKING:
    from .core.budgets import draw_labels as draw_labels
    from .core.config import Config as Config
    from .core.config import parse as parse
    from .core.dataset import Dataset as Dataset
    from .core.dataset import Image as Image
    from .core.dataset import Index as Index
    from .core.dataset import Sample as Sample
    from .core.device import choose_device as choose_device
    from .core.discovery import evaluations as evaluations
    from .core.discovery import objectives as objectives
    from .core.domain import Corruption as Corruption
    from .core.domain import Domain as Domain
    from .core.encoder import Encoder as Encoder
    from .core.encoder import check_needs as check_needs
    from .core.encoder import create_encoder as create_encoder
    from .core.encoder import initialise as initialise
    from .core.errors import DataError as DataError
    from .core.errors import PluginError as PluginError
    from .core.errors import RunError as RunError
    from .core.errors import SslKitError as SslKitError
    from .core.errors import UnknownNameError as UnknownNameError
    from .core.errors import UsageError as UsageError
    from .core.evaluation import Evaluation as Evaluation
    from .core.evaluation import EvaluationData as EvaluationData
    from .core.evaluation import LabelledFeatures as LabelledFeatures
    from .core.files import file_path as file_path
    from .core.files import index_files as index_files
    from .core.finetuning import FineTuningConfig as FineTuningConfig
    from .core.finetuning import fine_tune as fine_tune
    from .core.hookspecs import hookimpl as hookimpl
    from .core.loader import choose_workers as choose_workers
    from .core.masking import MaskPatch as MaskPatch
    from .core.masking import patchify as patchify
    from .core.masking import random_mask as random_mask
    from .core.masking import spread as spread
    from .core.nn import Queue as Queue
    from .core.nn import cosine_momentum as cosine_momentum
    from .core.nn import ema_ as ema_
    from .core.nn import encode_views as encode_views
    from .core.nn import frozen_copy as frozen_copy
    from .core.nn import full_precision as full_precision
    from .core.nn import kmeans as kmeans
    from .core.nn import mlp as mlp
    from .core.nn import off_diagonal as off_diagonal
    from .core.objective import Batch as Batch
    from .core.objective import Objective as Objective
    from .core.objective import Output as Output
    from .core.objective import Training as Training
    from .core.objective import View as View
    from .core.objective import multi_crop as multi_crop
    from .core.objective import smaller as smaller
    from .core.pairing import Partners as Partners
    from .core.pairing import side_by_side as side_by_side
    from .core.parallel import all_sum as all_sum
    from .core.parallel import draw_rows as draw_rows
    from .core.parallel import draw_shared as draw_shared
    from .core.parallel import gather as gather
    from .core.pretrained import Pretrained as Pretrained
    from .core.representation import measure as measure
    from .core.result import Result as Result
    from .core.result import average as average
    from .core.result import difference as difference
    from .core.result import verdict as verdict
    from .core.statistics import Estimate as Estimate
    from .core.statistics import bootstrap as bootstrap
    from .core.transforms import D4 as D4
    from .core.transforms import Coarser as Coarser
    from .core.transforms import Jpeg as Jpeg
    from .core.transforms import coarser as coarser
    from .core.views import only_with as only_with
    from .core.views import resized_crop as resized_crop

_MODULE_OF = {
    "Batch": "objective",
    "Coarser": "transforms",
    "Config": "config",
    "D4": "transforms",
    "Corruption": "domain",
    "DataError": "errors",
    "Dataset": "dataset",
    "Domain": "domain",
    "Encoder": "encoder",
    "Estimate": "statistics",
    "Evaluation": "evaluation",
    "EvaluationData": "evaluation",
    "FineTuningConfig": "finetuning",
    "Image": "dataset",
    "Index": "dataset",
    "LabelledFeatures": "evaluation",
    "Jpeg": "transforms",
    "MaskPatch": "masking",
    "Objective": "objective",
    "Output": "objective",
    "Partners": "pairing",
    "PluginError": "errors",
    "Queue": "nn",
    "Pretrained": "pretrained",
    "Result": "result",
    "RunError": "errors",
    "Sample": "dataset",
    "SslKitError": "errors",
    "UnknownNameError": "errors",
    "UsageError": "errors",
    "Training": "objective",
    "View": "objective",
    "all_sum": "parallel",
    "average": "result",
    "bootstrap": "statistics",
    "check_needs": "encoder",
    "choose_device": "device",
    "choose_workers": "loader",
    "coarser": "transforms",
    "cosine_momentum": "nn",
    "create_encoder": "encoder",
    "difference": "result",
    "draw_labels": "budgets",
    "draw_rows": "parallel",
    "draw_shared": "parallel",
    "ema_": "nn",
    "encode_views": "nn",
    "evaluations": "discovery",
    "file_path": "files",
    "fine_tune": "finetuning",
    "frozen_copy": "nn",
    "full_precision": "nn",
    "gather": "parallel",
    "kmeans": "nn",
    "hookimpl": "hookspecs",
    "index_files": "files",
    "initialise": "encoder",
    "measure": "representation",
    "mlp": "nn",
    "multi_crop": "objective",
    "objectives": "discovery",
    "off_diagonal": "nn",
    "only_with": "views",
    "parse": "config",
    "patchify": "masking",
    "random_mask": "masking",
    "smaller": "objective",
    "spread": "masking",
    "resized_crop": "views",
    "side_by_side": "pairing",
    "verdict": "result",
}
__all__ = list(_MODULE_OF)  # derived, so that it cannot drift


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'ssl_kit' has no attribute '{name}'")
    return getattr(importlib.import_module(f".core.{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
