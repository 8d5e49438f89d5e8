"""What objectives are made of."""

from ..core.discovery import objectives as objectives
from ..core.view import multi_crop as multi_crop
from ..core.view import smaller as smaller
from .clustering import kmeans as kmeans
from .distributed import all_sum as all_sum
from .distributed import draw_rows as draw_rows
from .distributed import draw_shared as draw_shared
from .distributed import gather as gather
from .heads import encode_views as encode_views
from .heads import mlp as mlp
from .losses import full_precision as full_precision
from .losses import off_diagonal as off_diagonal
from .masking import MaskPatch as MaskPatch
from .masking import patchify as patchify
from .masking import random_mask as random_mask
from .masking import spread as spread
from .queue import Queue as Queue
from .teacher import cosine_momentum as cosine_momentum
from .teacher import ema_ as ema_
from .teacher import frozen_copy as frozen_copy
from .weights import check_needs as check_needs
from .weights import create_encoder as create_encoder
from .weights import initialise as initialise
