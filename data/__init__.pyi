# Readers
from . import augment as augment
from .file_dataset import FileDataset as FileDataset
from .file_dataset import most_frequent_kind as most_frequent_kind
from .file_dataset import parents_of as parents_of
from .files import LabelSource as LabelSource
from .files import evenly_spaced as evenly_spaced
from .files import file_path as file_path
from .files import index_files as index_files
from .files import table_in as table_in
from .files import walk as walk
from .in_time import apart_in_time as apart_in_time
from .in_time import cut_in_time as cut_in_time
from .in_time import natural_key as natural_key
from .in_time import renumber as renumber
from .in_memory import kept_in_memory as kept_in_memory
from .label_values import without_missing as without_missing
from .layouts import Part as Part
from .labels import read_table as read_table
from .named import LocalPath as LocalPath
from .named import NamedDataset as NamedDataset
from .named import OutPath as OutPath
from .matlab import MatFile as MatFile
from .matlab import read_matlab as read_matlab
from .matlab import shape_of as shape_of
from .open_files import OpenFiles as OpenFiles
from .open_files import file_version as file_version
from .open_files import keep_open as keep_open
from .open_files import write_atomic as write_atomic
from .table import Table as Table
from .targets import understand_labels as understand_labels
from .workers import WorkerLoader as WorkerLoader
from .workers import choose_workers as choose_workers

# Pairings
from .pairings import grid_neighbors as grid_neighbors
from .pairings import pair_adjacent as pair_adjacent
from .pairings import pair_edges as pair_edges
from .pairings import next_in_recording as next_in_recording
from .pairings import pair_equal as pair_equal
from .pairings import same_recording as same_recording

# Pixels and tiles
from .pixels import MOST_BYTES as MOST_BYTES
from .pixels import fills_among as fills_among
from .pixels import from_levels as from_levels
from .pixels import from_unit as from_unit
from .pixels import full_scale as full_scale
from .pixels import in_other_depth as in_other_depth
from .pixels import listed_fills as listed_fills
from .pixels import refuse_large as refuse_large
from .pixels import suspected_fills as suspected_fills
from .pixels import to_unit as to_unit
from .pixels import without_fills as without_fills
from .tiles import box_means as box_means
from .tiles import grid as grid
from .tiles import parse_tile_keys as parse_tile_keys
from .tiles import tile_key as tile_key
from .tiles import tile_starts as tile_starts

# Signals in time
from .signals import ZERO as ZERO
from .signals import Excerpt as Excerpt
from .signals import Level as Level
from .signals import Mask as Mask
from .signals import Noise as Noise
from .signals import Scale as Scale
from .signals import SignalDataset as SignalDataset
from .signals import SignFlip as SignFlip
from .signals import assume_time_to_the_right as assume_time_to_the_right

# Memory
from .memory_limits import free_memory as free_memory

# Messages
from .counting import agree as agree
from .counting import plural as plural

# Registries and splits
from .registries import datasets as datasets
from .registries import domains as domains
from .splits import Splits as Splits
from .splits import can_leave_one_out as can_leave_one_out
from .splits import split as split

# Policies
from .views import if_channels as if_channels
from .views import resized_crop as resized_crop
from .views import whole_image as whole_image
