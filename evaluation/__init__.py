"""What evaluations are made of: labeled images, results with intervals, fine-tuning."""

from ..core.discovery import evaluations as evaluations
from ..training.device import choose_device as choose_device
from ..training.representation import representation_metrics as representation_metrics
from .bootstrap import Estimate as Estimate
from .bootstrap import Floats as Floats
from .bootstrap import Weights as Weights
from .bootstrap import bootstrap_estimates as bootstrap_estimates
from .bootstrap import wilcoxon as wilcoxon
from .budgets import draw_labels as draw_labels
from .data import EvaluationData as EvaluationData
from .data import LabeledFeatures as LabeledFeatures
from .finetuning import FineTuningConfig as FineTuningConfig
from .finetuning import fine_tune as fine_tune
from .groups import few_groups as few_groups
from .groups import over_groups as over_groups
from .pretrained import Pretrained as Pretrained
from .pretrained import from_init as from_init
from .records import StoredEvaluation as StoredEvaluation
from .records import load_evaluations as load_evaluations
from .result import Result as Result
from .result import average_results as average_results
from .result import paired_difference as paired_difference
from .result import verdict as verdict
