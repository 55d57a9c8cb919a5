"""How much each loss term of a stage has to say about some parameters."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class TermGradient(NamedTuple):
    """One term's share in a step.

    Attributes:
        loss: The term's weighted value.
        norm: Euclidean norm of its gradient.
        cosine: Cosine between its gradient and that of the sum of all terms; 0 where one of them vanishes.
    """

    loss: float
    norm: float
    cosine: float


def measure_terms(losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> dict[str, TermGradient]:
    """Measure the gradient of each weighted loss term.

    Args:
        losses: What a model's loss returns; scalars whose name does not begin with `loss` are passed over.
        parameters: Parameters that the terms are compared on.

    Returns:
        Each term by name, without the `loss_`; terms that do not depend on the parameters have a norm of 0.

    Raises:
        ValueError: If there is no term, or none of the parameters trains.
    """
    terms = {name.removeprefix('loss_'): value for name, value in losses.items() if name.startswith('loss')}
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not terms or not trained:
        raise ValueError(f'Expected loss terms and parameters that train, got {len(terms)} and {len(trained)} of them.')
    gradients = {name: _gradient(value, trained) for name, value in terms.items()}
    total = torch.stack(list(gradients.values())).sum(dim=0)
    return {
        name: TermGradient(
            float(terms[name].detach()),
            float(gradient.norm()),
            float(torch.cosine_similarity(gradient, total, dim=0)),
        )
        for name, gradient in gradients.items()
    }


def _gradient(value: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """Gradient of a scalar with respect to all parameters, flat, in float32."""
    found: Sequence[Tensor] = [torch.zeros_like(parameter) for parameter in parameters]
    if value.requires_grad:
        found = torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found]).float()
