"""Refusing checkpoints whose weights for each identity or domain belong to other data."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def guard_identity_count(module: nn.Module, num_identities: int, *names: str, what: str = 'identities') -> None:
    """Make a module refuse weights of another number of identities, with a `ValueError` that names both numbers.

    Args:
        module: Module that owns the weights.
        num_identities: Number of identities of this data.
        *names: Weights of the module whose first axis runs over identities; one that is absent is not checked.
        what: What is counted, where it is not identities.
    """

    def check(_: nn.Module, state_dict: Mapping[str, Tensor], prefix: str, *__: Any) -> None:
        for key in (prefix + name for name in names):
            saved = len(state_dict[key]) if key in state_dict else num_identities
            if saved != num_identities:
                raise ValueError(
                    f'The checkpoint was trained on {saved} {what} ({key!r}), this data has {num_identities}. '
                    'Resume with the same sources and splits as the checkpoint. To start from its image and text '
                    'towers on other data, strip it with tools/publish_model.py and use the result with load_from.'
                )

    module.register_load_state_dict_pre_hook(check)
