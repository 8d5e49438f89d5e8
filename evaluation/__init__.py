"""What evaluations are made of: labeled images, results with intervals, fine-tuning."""

from ..core.discovery import evaluations as evaluations
from ..data.process import seeded as seeded
from ..training.device import choose_device as choose_device
from ..training.representation import representation_metrics as representation_metrics
from ..training.step import TrainingStep as TrainingStep
from ..training.step import mean_loss as mean_loss
from .bootstrap import Estimate as Estimate
from .bootstrap import Floats as Floats
from .bootstrap import Weights as Weights
from .bootstrap import bootstrap_estimates as bootstrap_estimates
from .budgets import draw_labels as draw_labels
from .data import EvaluationData as EvaluationData
from .data import LabeledFeatures as LabeledFeatures
from .finetuning import fine_tune as fine_tune
from .finetuning_options import FineTuningConfig as FineTuningConfig
from .pretrained import Pretrained as Pretrained
from .result import Result as Result
from .result import average_results as average_results
from .result import paired_difference as paired_difference
from .result import verdict as verdict
from .selection import Predictions as Predictions
from .selection import choose as choose
from .selection import choose_epochs_then_refit as choose_epochs_then_refit
from .selection import choose_then_refit as choose_then_refit
