"""Learning-rate schedule of the prompt stage, which MMEngine's chainable schedules cannot express."""

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from cmdg_plugin.models.utils import check_count, check_fraction
from cmdg_plugin.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):
    """Cosine decay over all epochs whose first ones are replaced by a linear rise.

    In the epoch of number `e` (from 1) of `T`, the rate is `start + (peak - start) * e / warmup` while `e < warmup`,
    and `low + (peak - low) * (1 + cos(pi * e / T)) / 2` from then on. The cosine is not shifted after the rise, so
    there is a small step between the two; this is the schedule of CMDG's prompt stage.

    Args:
        optimizer: Optimizer wrapper whose `lr` is set.
        warmup_epochs: Epoch of the first rate on the cosine.
        start_ratio: `start` as a share of the peak rate, in [0, 1].
        end_ratio: `low` as a share of the peak rate, in [0, 1].
        **kwargs: `begin`, `end`, `last_step`, `by_epoch`, `verbose` as MMEngine's schedules have them; `T` is
            `end - begin`.

    Raises:
        ValueError: If a ratio lies outside [0, 1] or `warmup_epochs` is negative.
    """

    def __init__(
        self, optimizer: Any, warmup_epochs: int = 0, start_ratio: float = 0.0, end_ratio: float = 0.0, **kwargs: Any
    ) -> None:
        check_count('WarmupCosineLR', at_least=0, warmup_epochs=warmup_epochs)
        check_fraction('WarmupCosineLR', start_ratio=start_ratio, end_ratio=end_ratio)
        self.warmup_epochs = warmup_epochs
        self.start_ratio = start_ratio
        self.end_ratio = end_ratio
        super().__init__(optimizer, param_name='lr', **kwargs)

    def _get_value(self) -> list[float]:
        epoch = self.last_step + 1
        if epoch < self.warmup_epochs:
            share = self.start_ratio + (1 - self.start_ratio) * epoch / self.warmup_epochs
        else:
            cosine = math.cos(math.pi * epoch / (self.end - self.begin))
            share = self.end_ratio + (1 - self.end_ratio) * (1 + cosine) / 2
        return [share * peak for peak in self.base_values]
