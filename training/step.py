"""One optimizer step, the same for pre-training, fine-tuning, detection and bags."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..core.errors import RunError
from ..core.objective import Output
from ..data.memory import explain_memory_errors
from .optim import set_learning_rate

_ADVICE = (
    "Lower the batch size (in pre-training, train.accumulate=2 makes a step of two batches) or the "
    "image size, or choose a smaller encoder. What was saved before is kept."
)


class SingleDevice:
    """Does on one device what a step asks of accelerate's `Accelerator`."""

    sync_gradients = True
    clip_grad_norm_ = staticmethod(nn.utils.clip_grad_norm_)

    def accumulate(self, model: nn.Module) -> AbstractContextManager[None]:
        """Accumulates nothing: every batch is a step."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Computes the gradients of a loss."""
        loss.backward()  # type: ignore[no-untyped-call]


class TrainingStep:
    """Takes an optimizer step: forward, backward, gradient clipping, update.

    Args:
        model: The network that is trained.
        optimizer: Of its parameters.
        clip: Largest norm of the gradient; 0 is no limit.
        engine: accelerate's, where batches are accumulated or several processes train.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        clip: float = 0.0,
        engine: Accelerator | SingleDevice | None = None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self._clip, self._engine = clip, engine or SingleDevice()

    def __call__(self, lr: float, forward: Callable[[], Output]) -> Output:
        """Takes a step at a learning rate, and returns the output with a detached loss.

        Args:
            lr: Learning rate; a parameter group's `lr_scale` multiplies it.
            forward: Computes the loss of a batch.
        """
        set_learning_rate(self.optimizer, lr)
        with explain_memory_errors(_ADVICE), self._engine.accumulate(self.model):
            output = forward()
            self._engine.backward(output.loss)
            if self._clip and self._engine.sync_gradients:
                self._engine.clip_grad_norm_(self.model.parameters(), self._clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return output._replace(loss=output.loss.detach())


def mean_loss(losses: Sequence[Tensor], task: str, option: str) -> float:
    """Returns the mean loss of an epoch.

    Args:
        losses: One detached scalar a step.
        task: What is trained, for the message.
        option: The option that sets the learning rate, for the message.

    Raises:
        RunError: If it is not finite.
    """
    mean = float(torch.stack(list(losses)).mean())
    if not math.isfinite(mean):
        raise RunError(f"The loss of {task} became {mean}. Lower {option}.")
    return mean
