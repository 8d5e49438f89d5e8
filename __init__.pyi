# Objectives
# Options and plugins
from .core.config import Config as Config
from .core.config import validate as validate

# Datasets
from .core.dataset import Dataset as Dataset
from .core.dataset import Image as Image
from .core.dataset import Sample as Sample

# Domains
from .core.domain import Corruption as Corruption
from .core.domain import Domain as Domain

# Encoders
from .core.encoder import Encoder as Encoder

# Errors
from .core.errors import DataError as DataError
from .core.errors import PluginError as PluginError
from .core.errors import RunError as RunError
from .core.errors import SslKitError as SslKitError
from .core.errors import UnknownNameError as UnknownNameError
from .core.errors import UsageError as UsageError
from .core.hookspecs import hookimpl as hookimpl
from .core.index import Index as Index
from .core.objective import Batch as Batch
from .core.objective import Objective as Objective
from .core.objective import Output as Output
from .core.objective import TrainingInfo as TrainingInfo
from .core.pairing import Pairing as Pairing
from .core.view import View as View

# Evaluations
from .evaluation.evaluation import Evaluation as Evaluation
