"""The registries of what reads images."""

from ..core.discovery import datasets as datasets
from ..core.discovery import domains as domains
