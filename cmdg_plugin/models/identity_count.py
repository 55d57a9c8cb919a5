"""Refusing checkpoints whose weights for each identity or domain belong to other data."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def check_identity_count(
    state_dict: Mapping[str, Tensor], key: str, num_identities: int, what: str = 'identities'
) -> None:
    """Compare the identities that a checkpoint was trained on with those of this data.

    Args:
        state_dict: Weights that are about to be loaded.
        key: Name of a weight whose first axis runs over identities; nothing is checked where it is absent.
        num_identities: Number of identities of this data.
        what: What is counted, where it is not identities.

    Raises:
        ValueError: If the numbers differ.
    """
    weight = state_dict.get(key)
    if weight is None or len(weight) == num_identities:
        return
    raise ValueError(
        f'The checkpoint was trained on {len(weight)} {what} ({key!r}), this data has {num_identities}. '
        'Resume with the same sources and splits as the checkpoint. To start from its image and text towers on other '
        'data, strip it with tools/publish_model.py and use the result with load_from.'
    )


def guard_identity_count(module: nn.Module, num_identities: int, *names: str, what: str = 'identities') -> None:
    """Make a module refuse weights of another number of identities, with an error that names both numbers.

    Args:
        module: Module that owns the weights.
        num_identities: Number of identities of this data.
        *names: Weights of the module whose first axis runs over identities.
        what: What is counted, where it is not identities.
    """

    def check(_: nn.Module, state_dict: Mapping[str, Tensor], prefix: str, *__: Any) -> None:
        for name in names:
            check_identity_count(state_dict, prefix + name, num_identities, what)

    module.register_load_state_dict_pre_hook(check)
