# Work with runs: what the commands of ssl-kit do, as functions
from .commands.compare import compare as compare
from .commands.embed import embed as embed
from .commands.evaluate import evaluate as evaluate
from .commands.export import export as export
from .commands.finetune import finetune as finetune
from .commands.inspect import inspect as inspect
from .commands.load import load as load
from .commands.open_data import open_data as open_data
from .commands.report import report as report
from .commands.train import train as train
from .commands.tune import tune as tune
from .commands.views import views as views

# Write a plugin: options, and how plugins register
from .core.config import Config as Config
from .core.config import validate as validate
from .core.hookspecs import hookimpl as hookimpl

# Write a plugin: objectives and encoders
from .core.encoder import Encoder as Encoder
from .core.objective import Batch as Batch
from .core.objective import Objective as Objective
from .core.objective import Output as Output
from .core.objective import TrainingInfo as TrainingInfo
from .core.view import View as View

# Write a plugin: datasets and domains
from .core.dataset import Dataset as Dataset
from .core.dataset import Image as Image
from .core.dataset import Sample as Sample
from .core.domain import Corruption as Corruption
from .core.domain import Domain as Domain
from .core.index import Index as Index
from .core.pairing import Pairing as Pairing

# Write a plugin: evaluations
from .evaluation.evaluation import Evaluation as Evaluation

# Errors
from .core.errors import DataError as DataError
from .core.errors import PluginError as PluginError
from .core.errors import RunError as RunError
from .core.errors import SslKitError as SslKitError
from .core.errors import UnknownNameError as UnknownNameError
from .core.errors import UsageError as UsageError
