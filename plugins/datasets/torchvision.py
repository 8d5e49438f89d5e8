"""Named sets of torchvision that hold images and class labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ... import UsageError
from ...data import LocalPath
from .image_folder import ImageFolderConfig
from .named_images import Found, NamedImages, write_examples


class TorchvisionConfig(ImageFolderConfig):
    """Options of torchvision's sets."""

    root: Annotated[
        LocalPath,
        Field(description="folder that holds the set: the argument root of its torchvision class"),
    ] = ""
    splits: Annotated[
        tuple[str, ...],
        Field(
            description="names of the parts to read, such as extra of SVHN (default: train, val, "
            "test and unlabeled)"
        ),
    ] = ()
    arguments: dict[str, Any] = Field(
        default={}, description="further arguments of the torchvision class, such as partition=2"
    )
    download: Annotated[
        bool,
        Field(description="permission to download or unpack what is missing, as --download gives"),
    ] = False


class Torchvision(NamedImages):
    """Sets of torchvision.datasets with class labels: --data torchvision:CIFAR10.

    Any set that torchvision has can be named: CIFAR10, CIFAR100, STL10, MNIST, FashionMNIST, SVHN,
    ImageNet, Places365, EuroSAT, PCAM, DTD, Flowers102, Food101 and others; a name that does not
    exist lists them all. Its files must be below the folder data.options.root, in the layout that
    torchvision expects. Nothing is downloaded without --download. Files with pickles are read
    only after torchvision has compared their checksums. PCAM needs h5py.

    The training, validation and test parts of a set are the declared splits, and its unlabeled part
    joins the training images. Where no test image has a label, as in ImageNet, the validation part
    is the test part. A set without parts is split by --holdout.
    """

    Config = TorchvisionConfig
    options: TorchvisionConfig
    of_one_set = frozenset({"splits", "arguments"})

    @property
    def title(self) -> str:
        """Name of the set."""
        return self.path.as_posix() if self.path != Path() else ""

    def find_parts(self) -> Found:
        """Opens the parts by torchvision, without decoding images.

        Raises:
            UsageError: If there is no such set, or its folder is not given or does not exist.
            DataError: If the folder does not hold the whole set.
        """
        from .torchvision_sets import open_parts, set_class

        kind, options = set_class(self.title), self.options
        if not options.root:
            raise UsageError(
                f"Where is {self.title}? Give the folder that holds it: --set "
                "data.options.root=FOLDER."
            )
        root = Path(options.root)
        if not root.is_dir() and not options.download:
            raise UsageError(f"The folder data.options.root='{root}' does not exist.")
        parts = open_parts(kind, root, options.arguments, options.splits, options.download)
        return Found(parts)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether a set has this name; a file or folder has none."""
        if path.exists():
            return False
        from .torchvision_sets import names

        return path.as_posix() in names()

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two classes of EuroSAT."""
        for name in ("Forest", "River"):
            write_examples(folder / "eurosat" / "2750" / name)
        return Path("EuroSAT")

    @classmethod
    def example_options(cls, folder: Path) -> TorchvisionConfig:
        """Returns the options that open the example."""
        return TorchvisionConfig(root=str(folder))
