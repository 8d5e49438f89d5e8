"""What every domain must keep to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from multiprocessing.reduction import ForkingPickler

import cv2
import numpy as np

from ..core.config import validate
from ..core.dataset import Dataset, Image
from ..core.discovery import datasets, objectives
from ..core.domain import Corruption, Domain
from ..core.view import View
from ..data import augment
from ..data.opening import open_dataset, partners_of
from ..data.pixels import full_scale
from ..data.views import Renderer
from ..training.layers import merge
from ..training.settings import RunConfig
from .kit import explaining, require

_VIEW = 32


def demo_of(domain: Domain) -> Dataset:
    """Opens the domain's demo."""
    return open_dataset(domain, validate(RunConfig, {"domain": domain.name}).data)


def _image(channels: int, dtype: str, height: int) -> Image:
    """Makes a smooth random image that reaches both ends of the range, 48 wide."""
    rng = np.random.default_rng(channels)
    planes = [cv2.resize(rng.random((6, 6)), (48, height)) for _ in range(channels)]
    image = np.stack(planes, axis=2)
    image = (image - image.min()) / (image.max() - image.min())
    out: Image = (image * 255).astype(np.uint8) if dtype == "uint8" else image.astype(np.float32)
    return out


def _height(domain: Domain) -> int:
    """Returns the height of test images: 1 where the demo is of signals."""
    return 1 if demo_of(domain)[0].image.shape[0] == 1 else 48


def declares_itself(domain: Domain) -> None:
    """It is a Domain with a summary, known datasets, a demo and a "default" policy."""
    require(isinstance(domain, Domain), f"{type(domain).__name__} is no ssl_kit.Domain")
    require(bool(domain.summary), "the summary is empty")
    require("default" in domain.policies, 'there is no policy "default"')
    unknown = [name for name in (*domain.datasets, domain.demo) if name not in datasets]
    require(not unknown, f"datasets that nobody registers: {', '.join(unknown)}")
    unknown = [name for name in domain.objectives if name not in objectives]
    require(not unknown, f"objectives that nobody registers: {', '.join(unknown)}")


def defaults_are_settings(domain: Domain) -> None:
    """Its defaults, also those for pre-trained weights, are settings of a run."""
    for settings in (domain.defaults, domain.pretrained_defaults):
        validate(RunConfig, merge({"domain": domain.name}, domain.defaults, settings))


def demo_needs_nothing(domain: Domain) -> None:
    """The demo opens without files or network, twice the same, and its images can be read."""
    first, second = demo_of(domain), demo_of(domain)
    require(len(first) >= 32, f"the demo has {len(first)} images; at least 32 are needed")
    require(first.fingerprint() == second.fingerprint(), "the demo's index changes")
    for i in (0, len(first) - 1):
        a, b = first[i].image, second[i].image
        require(np.array_equal(a, b), f"image {i} of the demo changes; seed its generator")
        require(a.dtype in (np.uint8, np.float32), f"image {i} is {a.dtype}")


def policies_keep_shape_type_and_range(domain: Domain) -> None:
    """Every policy works for 1, 2, 3, 4 and 13 channels, uint8 and float32, within the range."""
    height = _height(domain)
    for count in (1, 2, 3, 4, 13):
        names = {1: ("gray",), 3: ("red", "green", "blue")}.get(count)
        channels = names or tuple(f"c{c}" for c in range(count))
        for policy in _policies(domain):
            renderer = Renderer(domain.policies, (View(_VIEW, policy=policy),), channels, 0)
            for dtype in ("uint8", "float32"):
                where = f"'{policy}', {count} channels, {dtype}"
                _check_views(renderer, _image(count, dtype, height), where)


def _policies(domain: Domain) -> list[str]:
    return sorted({*domain.policies, "weak", "upright", "eval"})


def _check_views(renderer: Renderer, image: Image, where: str) -> None:
    for epoch in range(4):
        before = image.copy()
        with explaining(
            f"{where}; what needs certain channels goes through ssl_kit.data.if_channels"
        ):
            view = renderer(image, epoch, 0, 0)
            made = renderer.pipelines[0](image=image)["image"]
        require(np.array_equal(image, before), f"{where}: the image itself is changed; copy it")
        require(made.dtype == image.dtype, f"{where}: the type becomes {made.dtype}; keep it")
        require(bool(np.isfinite(view).all()), f"{where}: values are not finite")
        if view.dtype == np.float32:
            low, high = float(view.min()), float(view.max())
            inside = low >= 0 and high <= 1
            require(inside, f"{where}: values reach [{low:.3f}, {high:.3f}]; clip to [0, 1]")


def views_can_be_located(domain: Domain) -> None:
    """Every policy tells where in the image a view lies, for methods that match places."""
    dataset = demo_of(domain)
    height = _height(domain)
    image = _image(len(dataset.channels), "uint8", height)
    for policy in _policies(domain):
        view = View(_VIEW, policy=policy, locate=True)
        renderer = Renderer(domain.policies, (view,), dataset.channels, 0)
        with explaining(
            f"'{policy}'; what moves pixels is an augment.SpatialTransform and "
            "moves keypoints along (apply_to_keypoints)"
        ):
            for epoch in range(8):
                _, frame = renderer.locate(image, epoch, 0, 0)
                right = frame.shape == (2, 3) and bool(np.isfinite(frame).all())
                require(right, f"the frame of a view is {frame.tolist()}")
                pixels = _VIEW * min(_VIEW, height)
                share = pixels * abs(float(np.linalg.det(frame[:, :2])))
                require(share > 1e-3, f"a view covers {share:.2g} of its image")


def default_views_differ(domain: Domain) -> None:
    """Two default views of an image of the demo differ, and are not constant."""
    dataset = demo_of(domain)
    renderer = Renderer(domain.policies, (View(_VIEW),) * 2, dataset.channels, 0)
    image = dataset[0].image
    a, b = renderer(image, 0, 0, 0), renderer(image, 0, 0, 1)
    require(not np.array_equal(a, b), "two views are equal; are transforms applied with p > 0?")
    require(float(a.std()) > 0, "a view is constant; is the crop or the contrast too small?")


def views_can_be_made_again(domain: Domain) -> None:
    """The same view of the same image in the same epoch is the same, whoever makes it."""
    dataset = demo_of(domain)
    for policy in _policies(domain):
        renderer = Renderer(domain.policies, (View(_VIEW, policy=policy),), dataset.channels, 0)
        for i in range(4):
            image = dataset[i].image
            same = np.array_equal(renderer(image, 0, i, 0), renderer(image, 0, i, 0))
            require(
                same,
                f"a view of '{policy}' differs the second time; use the transform's own "
                "random generators (self.py_random, self.random_generator)",
            )


def travels_to_other_processes(domain: Domain) -> None:
    """Its images and policies can be sent to loading processes, also where these are not forked."""
    for name, policy in domain.policies.items():
        with explaining(f"the policy '{name}'; use functions of a module, no lambdas"):
            ForkingPickler.dumps(policy)
    with explaining(f"the demo '{domain.demo}'; keep no open file, lock or lambda in a dataset"):
        ForkingPickler.dumps(demo_of(domain))


def pairings_pair(domain: Domain) -> None:
    """Every pairing gives partners inside the dataset."""
    dataset = demo_of(domain)
    rng = np.random.default_rng(0)
    for name in (*domain.pairings, "group"):
        partners = partners_of(domain, dataset, name)
        if partners is None:
            continue
        picked = [partners.pick(i, rng) for i in range(len(dataset))]
        inside = all(0 <= j < len(dataset) for j in picked)
        require(
            inside,
            f"the pairing '{name}' gives positions outside the dataset; members are "
            "positions from 0",
        )


def textured(
    channels: Sequence[str], dtype: str = "float32", size: tuple[int, int] = (48, 48)
) -> Image:
    """Makes a random image of some texture, from a quarter to three quarters of the range.

    Args:
        channels: C names.
        dtype: "uint8" or "float32".
        size: (H, W).
    """
    rng = np.random.default_rng(1)
    cells = [max(1, side // 4) for side in size]
    planes = [cv2.resize(rng.random(cells, np.float32), size[::-1]) for _ in channels]
    unit = 0.25 + 0.5 * np.stack([plane.reshape(size) for plane in planes], axis=2)
    out: Image = np.rint(255 * unit).astype(np.uint8) if dtype == "uint8" else unit
    return out


def corrupted(
    corruptions: Mapping[str, Corruption],
    name: str,
    strength: float,
    image: Image,
    channels: Sequence[str],
) -> Image:
    """Returns an image after a corruption that applies to its channels, the same every time."""
    transform = corruptions[name].transform(strength, channels)
    require(transform is not None, f"'{name}' does not apply to {', '.join(channels)}")
    pipeline = augment.Compose([transform])
    pipeline.set_random_seed(0)
    made: Image = pipeline(image=image)["image"]
    return made


def check_corruptions(
    corruptions: Mapping[str, Corruption],
    channels: Sequence[str],
    size: tuple[int, int] = (48, 48),
) -> None:
    """Checks that corruptions keep type, shape and range, and get worse with their strength.

    Those that do not apply to the channels are passed over.

    Args:
        corruptions: By name.
        channels: Names of the C channels.
        size: (H, W) of the image that they are tried on, as uint8 and as float32.

    Raises:
        CheckFailed: At the first that breaks the rule.
    """
    for dtype in ("float32", "uint8"):
        image = textured(channels, dtype, size)
        for name, corruption in corruptions.items():
            if corruption.transform(corruption.strengths[0], channels) is None:
                continue
            where = f"'{name}', {', '.join(channels)}, {dtype}"
            gaps = []
            for strength in corruption.strengths:
                made = corrupted(corruptions, name, strength, image, channels)
                again = corrupted(corruptions, name, strength, image, channels)
                gaps.append(_gap(image, made, again, where))
            require(
                gaps[0] > 0 and gaps == sorted(gaps),
                f"{where}: images do not get worse from strength to strength; order the strengths "
                "from mild to severe",
            )


def _gap(image: Image, made: Image, again: Image, where: str) -> float:
    """Returns how far a corrupted image is from the image, having looked at it."""
    kept = (made.dtype, made.shape) == (image.dtype, image.shape)
    require(kept, f"{where}: gives {made.dtype} {made.shape}; keep type and shape")
    apart = np.abs(made.astype(np.float64) - again).max()  # OpenCV may round otherwise in between
    require(
        apart <= 1e-6,
        f"{where}: differs the second time; use the transform's own random "
        "generators (self.py_random, self.random_generator)",
    )
    inside = 0 <= made.min() <= made.max() <= full_scale(image.dtype)
    require(bool(inside), f"{where}: values leave the range; clip to it")
    return float(np.abs(made.astype(np.float64) - image).mean())


def corruptions_get_worse(domain: Domain) -> None:
    """Every corruption keeps type, shape and range, and gets worse with its strength."""
    height, of_demo = _height(domain), tuple(demo_of(domain).channels)
    for channels in dict.fromkeys((of_demo, ("gray",), ("red", "green", "blue"))):
        check_corruptions(domain.corruptions, channels, (height, 48))


RULES = (
    declares_itself,
    defaults_are_settings,
    demo_needs_nothing,
    policies_keep_shape_type_and_range,
    views_can_be_located,
    default_views_differ,
    views_can_be_made_again,
    travels_to_other_processes,
    pairings_pair,
    corruptions_get_worse,
)
