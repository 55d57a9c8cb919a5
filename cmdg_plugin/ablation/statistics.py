"""Means over seeds, and how far they are known."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Args:
        mean: The mean; NaN of no values.
        margin: Half the width of the interval around it; NaN of fewer than two values, which tell nothing of it.
        count: Number of values.
    """

    mean: float
    margin: float
    count: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.margin

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.margin


_CONFIDENCE = 0.95
"""Share of such intervals that hold the mean."""


def estimate_mean(values: Sequence[float]) -> Estimate:
    """Estimate the mean that values were drawn around, by Student's t.

    Args:
        values: Independent values, such as one score a seed.

    Returns:
        The mean and its 95% interval.
    """
    count = len(values)
    mean = float(np.mean(values)) if count else math.nan
    if count < 2:
        return Estimate(mean, math.nan, count)
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    return Estimate(mean, float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * error, count)


def estimate_difference(values: Mapping[int, float], reference: Mapping[int, float]) -> Estimate:
    """Estimate how much higher values are than a reference, seed by seed.

    What a seed does to both (the order of the images, say) falls out, which an interval around each mean keeps.

    Args:
        values: Score by seed.
        reference: The same of what they are compared with; seeds that only one of the two has are left out.

    Returns:
        The mean difference and its 95% interval.
    """
    seeds = sorted(values.keys() & reference.keys())
    return estimate_mean([values[seed] - reference[seed] for seed in seeds])
