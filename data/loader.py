"""Loading: an endless stream of batches, each a pure function of its number."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from ..core.dataset import Dataset, Image, Sample
from ..core.errors import DataError, PluginError, RunError, SslKitError
from ..core.pairing import Pairing
from .memory_limits import free_memory
from .process import prepare_process
from .splits import Positions
from .views import Renderer
from .workers import WorkerDied, WorkerLoader

_log = logging.getLogger("ssl_kit")

Skipped = list[tuple[str, str]]


@dataclass
class RawBatch:
    """Views as they travel from a loading process: (B, H, W, C), uint8 or float32.

    `error` is one that stops the run: raised over there, it would reach the user as a traceback.
    """

    views: list[Tensor]
    indices: Tensor
    skipped: Skipped = field(default_factory=list)
    error: SslKitError | None = None
    frames: list[Tensor] = field(default_factory=list)
    partners: Positions | None = None
    incomplete: list[str] = field(default_factory=list)  # keys of images with NaN

    def pin_memory(self) -> RawBatch:
        """Moves the views to pinned memory, for the copy to a GPU."""
        self.views = [view.pin_memory() for view in self.views]
        return self


class ViewDataset(TorchDataset[RawBatch]):
    """Renders whole batches. An unreadable image is replaced by the next readable one and named.

    Args:
        dataset: The images.
        pool: Positions that replacements are taken from.
        renderer: Makes the views.
        partners: If given, every second view shows a partner of the image.
        seed: Of the run; decides the partners.
        keep: Whether decoded images are kept in memory; see `fits_in_memory`.
    """

    def __init__(
        self,
        dataset: Dataset,
        pool: Positions,
        renderer: Renderer,
        partners: Pairing | None = None,
        seed: int = 0,
        keep: bool = False,
    ) -> None:
        self._keep, self._kept = keep, dict[int, Sample]()
        self._dataset, self._pool, self._renderer = dataset, pool, renderer
        self._partners, self._seed = partners.within(pool) if partners else None, seed
        self._bad: dict[int, str] = {}

    def __getitem__(self, request: tuple[int, Positions]) -> RawBatch:
        """Renders the batch of (epoch, positions)."""
        epoch, positions = request
        indices = torch.from_numpy(np.asarray(positions, dtype=np.int64))
        skipped: Skipped = []
        incomplete: list[str] = []
        try:
            views, frames = self._render(epoch, positions, skipped, incomplete)
            partners = None
            if self._partners is not None:
                partners = np.array([self._partner(p, epoch) for p in positions.tolist()])
            return RawBatch(views, indices, skipped, None, frames, partners, incomplete)
        except (DataError, PluginError) as error:
            return RawBatch([], indices, skipped, error)
        except MemoryError as error:
            full = RunError(f"There is no memory for images ({error}). Lower --workers.")
            return RawBatch([], indices, skipped, full)

    def bytes_of(self, positions: Positions) -> int:
        """Returns the memory of the first view of an image, of signals too.

        Raises:
            DataError, PluginError: If the image cannot be rendered.
        """
        rendered = self[0, positions]
        if rendered.error is not None:
            raise rendered.error
        return int(rendered.views[0].nbytes)

    def all_equal(self, positions: Positions) -> bool:
        """Tells whether all images have the same pixels; it reads up to the first that differs."""
        first: Image | None = None
        for position in positions.tolist():
            try:
                image = self._read(position).image
            except DataError:
                continue
            if first is not None and not np.array_equal(first, image):
                return False
            first = image
        return True

    def _render(
        self, epoch: int, positions: Positions, skipped: Skipped, incomplete: list[str]
    ) -> tuple[list[Tensor], list[Tensor]]:
        views: list[list[Image]] = [[] for _ in self._renderer.views]
        frames: list[list[NDArray[np.float32]]] = [[] for _ in self._renderer.views]
        for position in positions.tolist():
            images = self._images(position, epoch, skipped)
            incomplete += [image.key for image in images if image.incomplete]
            for v in range(len(views)):
                image = images[v % len(images)].image
                view, frame = self._renderer.locate(image, epoch, position, v)
                views[v].append(view)
                frames[v].append(frame)
        return _stack(views), _stack(frames)

    def _images(self, position: int, epoch: int, skipped: Skipped) -> list[Sample]:
        """Returns the image, and where images are paired its partner: itself if unreadable."""
        images = [self._readable(self._candidates(position), skipped)]
        if self._partners is not None:
            either = chain([self._partner(position, epoch)], self._candidates(position))
            images.append(self._readable(either, skipped))
        return images

    def _partner(self, position: int, epoch: int) -> int:
        rng = np.random.default_rng((self._seed, epoch, position))
        return self._partners.pick(position, rng) if self._partners else position

    def _readable(self, candidates: Iterable[int], skipped: Skipped) -> Sample:
        for candidate in candidates:
            try:
                if candidate not in self._bad:
                    return self._read(candidate)
            except DataError as error:
                self._bad[candidate] = str(error)
            skipped.append((self._dataset.index.key(candidate), self._bad[candidate]))
        raise DataError("None of the images can be read; see the files themselves.")

    def _read(self, position: int) -> Sample:
        sample = self._kept.get(position)
        if sample is None:
            sample = self._dataset[position]
            if self._keep:
                self._kept[position] = sample
        return sample

    def _candidates(self, position: int) -> Iterator[int]:
        """Yields the position, then the ones that may replace it."""
        yield position
        start = int(np.searchsorted(self._pool, position))
        for step in range(1, len(self._pool)):
            yield int(self._pool[(start + step) % len(self._pool)])


def remark_on_incomplete(keys: Collection[str]) -> str:
    """Returns what is said of images with pixels that have no data, whose names are given."""
    images = "image has" if len(keys) == 1 else "images have"
    return (
        f"{len(keys)} {images} pixels without data (NaN, or what the reader takes for missing), "
        f"such as '{min(keys)}'; these pixels become the lowest value."
    )


def _stack(columns: Sequence[Sequence[NDArray[Any]]]) -> list[Tensor]:
    return [torch.from_numpy(np.stack(column)) for column in columns]


def fits_in_memory(dataset: Dataset, pool: Positions, workers: int) -> bool:
    """Tells whether every process may keep all decoded images in a quarter of the free memory.

    Judged by the first image that can be read: decoding costs as much as augmenting.
    """
    for i in pool[:16].tolist():
        try:
            size = dataset[i].image.nbytes
        except DataError:
            continue
        return size * len(pool) * max(1, workers) < free_memory() / 4
    return False


def load(
    views: ViewDataset, order: Sampler[tuple[int, Positions]], workers: int, pin: bool = False
) -> Iterator[RawBatch]:
    """Yields batches, made in `workers` processes, or in this one if 0.

    If the system ends a process, half as many load the batches that are left.

    Args:
        views: Renders the batches.
        order: The same each time that it is iterated over.
        workers: Number of processes.
        pin: Whether to copy batches to pinned memory.

    Raises:
        DataError: If none of the images can be read.
        PluginError: If a policy makes views of another shape than asked for.
        RunError: If the system ends the last process.
    """
    prepare_process()
    done = 0
    while True:
        loader: WorkerLoader[RawBatch] = WorkerLoader(
            views,
            sampler=_Remaining(order, done),
            batch_size=None,
            num_workers=workers,
            pin_memory=pin,
            prefetch_factor=4 if workers else None,
            generator=torch.Generator(),  # else starting to load advances torch's random state
        )
        try:
            for raw in loader:
                if raw.error is not None:
                    raise raw.error
                done += 1
                yield raw
            return
        except WorkerDied as error:
            if workers < 2:
                raise
            workers //= 2
            _log.warning("%s %d load from here on.", error.fact, workers)


class _Remaining(Sampler[tuple[int, Positions]]):
    """An order of batches without the first ones."""

    def __init__(self, order: Sampler[tuple[int, Positions]], done: int) -> None:
        self._order, self._done = order, done

    def __iter__(self) -> Iterator[tuple[int, Positions]]:
        return islice(iter(self._order), self._done, None)
