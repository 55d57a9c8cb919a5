"""Refusing checkpoints of another model."""

from collections.abc import Mapping

from torch import Tensor, nn

from cmdg_plugin.saying import first_of


def check_same_model(state_dict: Mapping[str, Tensor], prefix: str, backbone: nn.Module) -> None:
    """Refuse weights that are not a backbone's own: MMEngine would go on with some that nobody trained, after a note.

    Args:
        state_dict: Weights that are about to be loaded.
        prefix: What the names of the backbone's weights begin with there.
        backbone: The backbone.

    Raises:
        ValueError: If a weight is missing, has another shape or has no place here; names the first of them.
    """
    problems = []
    here = backbone.state_dict()
    for name, own in here.items():
        saved = state_dict.get(prefix + name)
        if saved is None:
            problems.append(f'backbone.{name} is missing')
        elif saved.shape != own.shape:
            problems.append(f'backbone.{name} is {tuple(saved.shape)}, here {tuple(own.shape)}')
    saved_names = (name.removeprefix(prefix) for name in state_dict if name.startswith(prefix))
    problems += [f'backbone.{name} has no place here' for name in saved_names if name not in here]
    if problems:
        raise ValueError(
            f'The checkpoint belongs to another model: {first_of(problems, separator="; ")}. Use it with the config '
            'that it was trained with (backbone.model_name, image_size, part_attention). Weights of CLIP itself go '
            'into model.backbone.pretrained.'
        )
