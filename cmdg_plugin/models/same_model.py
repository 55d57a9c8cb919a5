"""Refusing checkpoints of another model."""

from collections.abc import Mapping

from torch import Tensor, nn

_SHOWN = 3


def check_same_model(state_dict: Mapping[str, Tensor], prefix: str, backbone: nn.Module) -> None:
    """Refuse weights that do not cover a backbone: MMEngine would go on with some that nobody trained, after a note.

    Args:
        state_dict: Weights that are about to be loaded.
        prefix: What the names of the backbone's weights begin with there.
        backbone: The backbone.

    Raises:
        ValueError: If a weight is missing or has another shape; names the first of them.
    """
    problems = []
    for name, own in backbone.state_dict().items():
        saved = state_dict.get(prefix + name)
        if saved is None:
            problems.append(f'backbone.{name} is missing')
        elif saved.shape != own.shape:
            problems.append(f'backbone.{name} is {tuple(saved.shape)}, here {tuple(own.shape)}')
    if problems:
        more = f', and {len(problems) - _SHOWN} more' if len(problems) > _SHOWN else ''
        raise ValueError(
            f'The checkpoint belongs to another model: {"; ".join(problems[:_SHOWN])}{more}. Use it with the config '
            'that it was trained with (backbone.model_name, image_size). Weights of CLIP itself go into '
            'model.backbone.pretrained.'
        )
