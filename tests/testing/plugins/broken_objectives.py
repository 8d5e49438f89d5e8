"""Objectives that break one rule each: SimCLR with a mistake that people make."""

from typing import ClassVar

import numpy as np
import torch
from pydantic import ConfigDict
from torch import nn
from torch.nn.functional import mse_loss, normalize

from ssl_kit import Output, UsageError, View
from ssl_kit.nn import Teacher, all_gather, ema_, frozen_copy, mlp, rand_per_sample
from ssl_kit.plugins.objectives.simclr import SimCLR, SimCLRConfig, nt_xent


class Sound(SimCLR):
    """None: all rules hold."""

    example: ClassVar = {"hidden_dim": 32, "out_dim": 16}

    def both(self, batch):
        return self.projector(self.encoder(self.look(torch.cat(batch.views)))).chunk(2)

    def look(self, views):
        return views

    def loss(self, batch):
        return nt_xent(*map(all_gather, self.both(batch)), 0.2)

    def forward(self, batch, phase=0):
        return Output(self.loss(batch))


class NoPaper(Sound):
    """Names a paper and does not link it."""

    paper = "Chen et al., 2020"


class AnyOption(Sound):
    """Takes misspelled options in silence."""

    class Config(SimCLRConfig):
        model_config = ConfigDict(extra="allow")


class MisspelledDefault(Sound):
    """Wants settings that a run does not have."""

    defaults: ClassVar = {"optimzer": {"lr": 1e-3}}


class OwnPolicy(Sound):
    """Asks for views that few domains have."""

    @classmethod
    def views(cls, config, size):
        return (View(size, policy="stained"), View(size, policy="stained"))


class AttachedMetric(Sound):
    """Keeps the graph of every step alive."""

    def forward(self, batch, phase=0):
        loss = self.loss(batch)
        return Output(loss, {"half": loss / 2})


class UnusedLayer(Sound):
    """Has a layer that does nothing."""

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        self.forgotten = nn.Linear(4, 4)


class TrainsPatchesOnly(Sound):
    """Leaves the class token of a ViT untrained, and does not say so."""

    needs = frozenset({"map"})

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        self.projector = mlp(encoder.pyramid_shapes(encoder.image_size)[-1][0], 32, 16)

    def both(self, batch):
        maps = self.encoder.forward_map(self.look(torch.cat(batch.views)))
        return self.projector(maps.mean(dim=(2, 3))).chunk(2)


class NumpyWeights(Sound):
    """Initializes from a generator that nobody seeds."""

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        noise = np.random.default_rng().normal(0, 0.01, config.out_dim)
        self.projector[-1].bias = nn.Parameter(torch.from_numpy(noise).float())


class WrongWay(Sound):
    """Climbs: a gradient of the wrong sign under a loss of the right one."""

    def forward(self, batch, phase=0):
        loss = self.loss(batch)
        return Output(2 * loss.detach() - loss)


class HiddenOffset(Sound):
    """Counts in an attribute, which is not saved."""

    seen = 0

    def forward(self, batch, phase=0):
        return Output(self.loss(batch) + 0.001 * self.seen)

    def after_step(self, step, steps):
        self.seen += 1


class HiddenCounter(Sound):
    """Moves a teacher by a count that is not saved."""

    seen = 0

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        self.teacher = frozen_copy(self.projector)

    @torch.no_grad()
    def after_step(self, step, steps):
        self.seen += 1
        for t, s in zip(self.teacher.parameters(), self.projector.parameters(), strict=True):
            t.lerp_(s, 1 / self.seen)


class KeptLabels(Sound):
    """Keeps what was made for the first batch."""

    weights = None

    def forward(self, batch, phase=0):
        if self.weights is None:
            self.weights = torch.ones(len(batch), 1)
        z1, z2 = self.both(batch)
        return Output(nt_xent(*map(all_gather, (z1 * self.weights, z2)), 0.2))


class ThreeChannels(Sound):
    """Weighs red, green and blue, whatever the channels are."""

    def look(self, views):
        return views * views.new_tensor([0.3, 0.6, 0.1])[:, None, None]


class NoGray(Sound):
    """None: it says that it cannot use gray images."""

    def __init__(self, encoder, config):
        if encoder.channels == 1:
            raise UsageError("Colors are needed; these images have one channel.")
        super().__init__(encoder, config)


class NoColors(Sound):
    """Refuses the most common images."""

    def __init__(self, encoder, config):
        if encoder.channels == 3:
            raise UsageError("Three channels are too many.")
        super().__init__(encoder, config)


class EvenSizes(Sound):
    """Cuts images into quarters that must come out even."""

    def look(self, views):
        return views.unflatten(2, (2, views.shape[2] // 2)).flip(2).flatten(2, 3)


class HalfLoss(Sound):
    """Computes its loss in the precision of the encoder."""

    def forward(self, batch, phase=0):
        z1, z2 = self.both(batch)
        return Output((z1 - z2).square().mean())


class SmallMemory(Sound):
    """Remembers a fixed number of images."""

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        self.register_buffer("memory", torch.zeros(512, config.out_dim))

    def forward(self, batch, phase=0):
        z1, z2 = self.both(batch)
        near = mse_loss(z1, self.memory[batch.indices].to(z1.dtype))
        return Output(nt_xent(all_gather(z1), all_gather(z2), 0.2) + 0 * near)


class ForgottenProjector(Sound):
    """Updates the teacher's encoder and forgets its projector."""

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        self.teacher = Teacher(encoder, self.projector)

    def after_step(self, step, steps):
        self.teacher.update(self.encoder, momentum=0.9)


class EarlyTeacher(ForgottenProjector):
    """Updates the teacher in `forward`."""

    def forward(self, batch, phase=0):
        output = super().forward(batch)
        with torch.no_grad():
            next(self.teacher.encoder.parameters()).mul_(0.9)
        return output


class TrainedTeacher(ForgottenProjector):
    """Lets the optimizer have the teacher."""

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        self.teacher.requires_grad_(True)


class UnevenTeacher(ForgottenProjector):
    """Moves the first layer of the teacher's projector at another speed."""

    def after_step(self, step, steps):
        super().after_step(step, steps)
        ema_(self.teacher.projector[0], self.projector[0], 0.5)
        ema_(self.teacher.projector[-1], self.projector[-1], 0.9)


class NoisyProjection(Sound):
    """Adds noise that evaluation mode does not switch off."""

    def project(self, features):
        z = self.projector(features)
        return z + 0.1 * torch.randn_like(z)


class NoisyEncoder(Sound):
    """Leaves noise on the features in evaluation mode, so that nobody sees a collapse."""

    def __init__(self, encoder, config):
        super().__init__(encoder, config)
        encoder.register_forward_hook(
            lambda module, x, h: h + 0.1 * rand_per_sample(*h.shape, like=h)
        )

    def forward(self, batch, phase=0):
        z1, z2 = (all_gather(self.projector(self.encoder(view))) for view in batch.views)
        return Output(nt_xent(z1, z2, 0.2))


class InvertedSpread(Sound):
    """Divides by what is 0 where images are equal."""

    def forward(self, batch, phase=0):
        z1, _ = self.both(batch)
        spread = normalize(z1, dim=1).std(dim=0).mean().round(decimals=4).detach()
        return Output(self.loss(batch) / spread)


class AloneTogether(Sound):
    """Compares the images of its own process only."""

    def forward(self, batch, phase=0):
        return Output(nt_xent(*self.both(batch), 0.2))


class NeedsTheFirst(Sound):
    """Fails in a process that lacks a certain image, and leaves the others waiting."""

    def forward(self, batch, phase=0):
        first = batch.indices.tolist().index(0)
        z1, z2 = self.both(batch)
        return Output(nt_xent(all_gather(z1), all_gather(z2), 0.2) + 0 * z1[first].sum())
