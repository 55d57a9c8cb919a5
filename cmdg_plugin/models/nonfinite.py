"""What happens when a loss or a gradient is NaN or infinite."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.saying import warn

_MOST_IN_A_ROW = 50


class NonFiniteGuard:
    """Stops a training whose loss or gradient is not finite, or leaves the batch out and counts it.

    A batch that is left out leaves nothing behind: statistics of batch norm, buffers of loss terms, and what else was
    told to `undo_with`, are put back as they were.

    Args:
        policy: `raise` or `skip`.

    Raises:
        ValueError: If the policy is unknown, or is `skip` on several processes, which would lose step with each other.
    """

    def __init__(self, policy: str = 'raise') -> None:
        if policy not in ('raise', 'skip'):
            raise ValueError(f"on_nonfinite must be 'raise' or 'skip', got {policy!r}.")
        if policy == 'skip' and get_world_size() > 1:
            raise ValueError("on_nonfinite='skip' works in a single process only; use 'raise' on several.")
        self.policy = policy
        self.num_skipped = 0
        self.batch_is_bad = False
        self._in_a_row = 0
        self._undo: list[Callable[[], None]] = []

    @property
    def undoes(self) -> bool:
        """Whether a bad batch is undone; with `raise` the run ends and nothing is kept anyway."""
        return self.policy == 'skip'

    def undo_with(self, restore: Callable[[], None]) -> None:
        """Remember how to take a change back that is about to be made."""
        self._undo.append(restore)

    @contextmanager
    def step(self, model: nn.Module, optimizer: Optimizer, stage: str | None) -> Iterator[None]:
        """Context of one training step: watches the gradients, and undoes the step's traces if it was bad.

        Args:
            model: The model.
            optimizer: Its gradients are looked at right before it steps. Those that a loss scaler looks after are not.
            stage: The current stage, for messages.
        """
        self.batch_is_bad = False
        self._undo = [_keep_statistics(model)] if self.undoes else []

        def check_gradients(optimizer: Optimizer, *_: Any) -> None:
            # A fused optimizer is called with what the loss scaler found, and steps or not by that.
            if getattr(optimizer, 'found_inf', None) is None:
                self._check_gradients(model, optimizer, stage)

        watched = optimizer.register_step_pre_hook(check_gradients)
        try:
            yield
        finally:
            watched.remove()
        if self.batch_is_bad:
            for restore in reversed(self._undo):
                restore()
        else:
            self._in_a_row = 0
        self._undo = []

    def check(self, total: Tensor, losses: dict[str, Tensor], stage: str | None) -> None:
        """Note in `batch_is_bad` whether the batch is to be left out.

        Raises:
            FloatingPointError: If a loss is not finite and the policy is `raise`, or too many batches in a row are bad.
        """
        if not torch.isfinite(total):
            bad = [name for name, value in losses.items() if not torch.isfinite(torch.as_tensor(value)).all()]
            self._handle(f"Stage '{stage}': {', '.join(bad) or 'the sum of the losses'} is not a finite number.")

    def _check_gradients(self, model: nn.Module, optimizer: Optimizer, stage: str | None) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group['params'] if weight.grad is not None]
        # Asking every number whether it is finite, or for the largest, takes a CPU 20 times as long as their norm.
        if not weights or torch.isfinite(nn.utils.get_total_norm(weight.grad for weight in weights)):
            return
        named = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
        bad = next((name for name, gradient in named.items() if not torch.isfinite(gradient).all()), None)
        if bad is None:  # Squares of large numbers overflow before the numbers do.
            return
        # Without a gradient the optimizer leaves a parameter alone, its own averages included.
        for weight in weights:
            weight.grad = None
        self._handle(f"Stage '{stage}': the losses are finite, but the gradient of {bad} is not.")

    def _handle(self, what: str) -> None:
        self.batch_is_bad = True
        if self.policy == 'raise':
            raise FloatingPointError(
                f'{what} The weights are unchanged since the last step and the last checkpoint is sound. Lower the '
                "learning rate, look at the batch's images, or leave such batches out with model.on_nonfinite='skip'."
            )
        self.num_skipped += 1
        self._in_a_row += 1
        if self._in_a_row > _MOST_IN_A_ROW:
            raise FloatingPointError(
                f'{what} So were the {_MOST_IN_A_ROW} batches before: this is not about single images. Go on from an '
                'earlier checkpoint with a lower learning rate.'
            )
        warn(f'{what} Batch left out ({self.num_skipped} so far).')


def _keep_statistics(model: nn.Module) -> Callable[[], None]:
    """Copy the running statistics of batch norms and the buffers of loss terms; returns what puts them back."""
    buffers = [
        buffer
        for module in model.modules()
        if isinstance(module, _BatchNorm | LossTerm)
        for buffer in module.buffers(recurse=False)
    ]
    copies = [buffer.clone() for buffer in buffers]

    @torch.no_grad()
    def restore() -> None:
        for buffer, copy in zip(buffers, copies, strict=True):
            buffer.copy_(copy)

    return restore
