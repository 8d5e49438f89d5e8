"""What objectives are made of."""

from ..core.discovery import objectives as objectives
from ..core.view import multi_crop as multi_crop
from ..core.view import scaled_size as scaled_size
from .clustering import kmeans as kmeans
from .distributed import all_gather as all_gather
from .distributed import all_reduce as all_reduce
from .distributed import rand_per_sample as rand_per_sample
from .distributed import rand_shared as rand_shared
from .heads import encode_views as encode_views
from .heads import mlp as mlp
from .losses import full_precision as full_precision
from .losses import off_diagonal as off_diagonal
from .masking import MaskPatch as MaskPatch
from .masking import patchify as patchify
from .masking import random_mask as random_mask
from .masking import upsample_mask as upsample_mask
from .queue import FeatureQueue as FeatureQueue
from .teacher import cosine_momentum as cosine_momentum
from .teacher import ema_ as ema_
from .teacher import frozen_copy as frozen_copy
from .weights import check_needs as check_needs
from .weights import create_encoder as create_encoder
from .weights import load_initial_weights as load_initial_weights
