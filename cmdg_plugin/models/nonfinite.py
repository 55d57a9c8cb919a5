"""What happens when a loss is NaN or infinite."""

import logging

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch import Tensor

_MOST_IN_A_ROW = 50


class NonFiniteGuard:
    """Stops a training whose loss is not finite, or leaves the batch out and counts it.

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

    def lets_pass(self, features: Tensor) -> bool:
        """Whether features may enter the memory bank: with `raise` a bad loss follows and nothing is kept anyway."""
        return self.policy == 'raise' or bool(torch.isfinite(features).all())

    def check(self, total: Tensor, losses: dict[str, Tensor], stage: str | None) -> None:
        """Note in `batch_is_bad` whether the batch is to be left out.

        Args:
            total: Sum of the losses.
            losses: The losses by name.
            stage: The stage they belong to.

        Raises:
            FloatingPointError: If a loss is not finite and the policy is `raise`, or too many batches in a row are bad.
        """
        self.batch_is_bad = not bool(torch.isfinite(total))
        if not self.batch_is_bad:
            self._in_a_row = 0
            return
        bad = [name for name, value in losses.items() if not torch.isfinite(torch.as_tensor(value)).all()]
        what = f"Stage '{stage}': {', '.join(bad) or 'the sum of the losses'} is not a finite number."
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
        print_log(f'{what} Batch left out ({self.num_skipped} so far).', logger='current', level=logging.WARNING)
