"""ssl-kit: self-supervised pre-training of any timm encoder, with domain knowledge in plugins."""

import os

import lazy_loader

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks PyPI on import otherwise

# The names of __init__.pyi, each imported on first use: importing ssl_kit costs nothing.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
