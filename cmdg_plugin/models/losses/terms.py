"""The list of loss terms of a stage, as a config writes it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.losses.term_config import Term, read_terms
from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.registry import MODELS

if TYPE_CHECKING:
    from cmdg_plugin.models.backbones import TextAwareCLIP


@MODELS.register_module()
class LossTerms(nn.Module):
    """Weighted loss terms that read named fields and may leave fields for the terms after them.

    A new term is one registered class and one entry here::

        LossTerms([
            dict(type='PartNeighborLoss', name='part', weight=0.8, num_neighbors=10, outputs=['neighbors']),
            dict(type='SoftIdentityLoss', name='sid', weight=3.75,
                 inputs=dict(logits='logits_width', neighbors='neighbors', bank='bank')),
        ])

    A term with weight 0 is not computed, unless a later term that is computed reads one of its outputs; then it runs
    without gradient. Neither way is it reported.

    A module without a loss (see `LossTerm`) has no weight: it returns what its `outputs` name, and is computed only if
    a term that is computed reads one of them; or it returns a dict of numbers for the log, `<name>/<key>`.

    A term may have parameters: name it in the stage's `trainable`, as `losses.<stage>`.

    Args:
        terms: One dict a term: `type` (any module of the `MODELS` registries) and its arguments; `name` (unique; the
            loss is reported as `loss_<name>`); optionally `inputs`, field name by argument of the module's `forward`
            (default: an argument without a default gets the field of its own name), `weight` (finite, default 1) and
            `outputs`, names for what `forward` returns after the loss.

    Raises:
        ValueError: If a name or an output stands twice, a weight is not a finite number, a module does not take one of
            the keys, its `forward` lacks one of `inputs`, or an option lacks its input.
    """

    def __init__(self, terms: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.terms, modules = read_terms(terms)
        # Keys carry the prefix so that no name of a term can collide with a method of ModuleDict ('values', 'type').
        self.losses = nn.ModuleDict(modules)

    @property
    def reads(self) -> frozenset[str]:
        """Names of all fields that terms which are computed read."""
        return frozenset(field for term in self.terms if term.runs for field in term.inputs.values())

    @property
    def reads_bank_captions(self) -> bool:
        """Whether a term that is computed chooses among the bank's entries by their captions."""
        return any(module.reads_bank_captions for module in self._running())

    def bind_data(self, sizes: DataSizes) -> None:
        """Let the terms make the parameters that the training data sizes."""
        for _, module in self._own_terms():
            module.bind_data(sizes)

    def bind_backbone(self, backbone: 'TextAwareCLIP') -> None:
        """Let the terms that are computed take note of the backbone; see `LossTerm.bind_backbone`."""
        for module in self._running():
            module.bind_backbone(backbone)

    def check_data(self, sizes: DataSizes) -> None:
        """Let the terms that are computed refuse training data.

        Raises:
            ValueError: If a term does.
        """
        for module in self._running():
            module.check_data(sizes)

    def begin(self, identity_features: Callable[[str], Tensor], resumed: bool) -> None:
        """Let the terms that are computed start what they keep; see `LossTerm.begin`."""
        for module in self._running():
            module.begin(identity_features, resumed)

    def identity_sources(self) -> list[tuple[str, str]]:
        """Names of the terms that start from features of identities, and where these come from."""
        return [
            (term.name, module.identity_source)
            for term, module in self._own_terms()
            if term.runs and module.identity_source is not None
        ]

    def starting_after(self, epochs: int) -> list[str]:
        """Names of the terms that a stage of so many epochs never reaches."""
        return [term.name for term, module in self._own_terms() if module.start_epoch >= epochs]

    def _own_terms(self) -> Iterator[tuple[Term, LossTerm]]:
        """Go through the terms whose modules derive from the base, which alone have its members."""
        for term in self.terms:
            module = self.losses[term.key]
            if isinstance(module, LossTerm):
                yield term, module

    def _running(self) -> list[LossTerm]:
        return [module for term, module in self._own_terms() if term.runs]

    def check_fields(self, given: Collection[str]) -> None:
        """Check that every term that is computed will find what it reads.

        Args:
            given: Names of the fields that the stage gives.

        Raises:
            ValueError: If a term reads a field that is neither among them nor an output of a term before it.
        """
        known: dict[str, Any] = dict.fromkeys(given)
        for term in self.terms:
            if term.runs:
                for field in term.inputs.values():
                    _field(term, field, known)
                known |= dict.fromkeys(term.outputs)

    def forward(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        """Compute the terms in order.

        Args:
            fields: What the terms may read, by name; left as it is.

        Returns:
            `{'loss_<name>': weight * value}` of every term whose weight is not 0, and the numbers for the log.

        Raises:
            ValueError: If a field is missing, a term returns fewer outputs than it declares, or an output would
                replace a field.
        """
        known = dict(fields)
        values: dict[str, Tensor] = {}
        for term in self.terms:
            if not term.runs:
                continue
            arguments = {argument: _field(term, field, known) for argument, field in term.inputs.items()}
            # What has no loss of its own, but feeds others, passes their gradients on.
            learns = term.weight != 0 or (not term.has_loss and bool(term.outputs))
            with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
                result = self.losses[term.key](**arguments)
            if not term.has_loss and not term.outputs:
                values.update(_numbers(term, result))
                continue
            loss, outputs = _split(term, result)
            for name, output in zip(term.outputs, outputs, strict=False):
                if name in known:
                    raise ValueError(
                        f"loss term '{term.name}': its output '{name}' would replace the field of that name."
                    )
                known[name] = output
            if loss is not None and term.weight != 0:
                values[term.key] = term.weight * loss
        return values

    def extra_repr(self) -> str:
        """Name the terms with their weights."""
        return ', '.join(f'{term.name}={term.weight:g}' for term in self.terms)


def _field(term: Term, field: str, known: Mapping[str, Any]) -> Any:
    if field not in known:
        raise ValueError(f"loss term '{term.name}' reads the field '{field}', but there are only: {', '.join(known)}.")
    return known[field]


def _numbers(term: Term, result: Any) -> dict[str, Any]:
    if not isinstance(result, Mapping):
        raise ValueError(
            f"loss term '{term.name}' has neither a loss nor outputs, so it must return a dict of numbers for the log, "
            f'got {type(result).__name__}.'
        )
    numbers = {f'{term.name}/{key}': number for key, number in result.items()}
    wrong = [name for name in numbers if 'loss' in name]
    if wrong:
        raise ValueError(
            f"loss term '{term.name}' has no loss, but MMEngine would add '{wrong[0]}' to the losses for its name; "
            "choose one without 'loss'."
        )
    return numbers


def _split(term: Term, result: Any) -> tuple[Tensor | None, Sequence[Any]]:
    """Separate a loss value, if there is one, from what a module returned after it."""
    outputs = result if isinstance(result, tuple | list) else (result,)
    loss = None
    if term.has_loss:
        loss, *outputs = outputs
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shape = f' of shape {tuple(loss.shape)}' if isinstance(loss, Tensor) else ''
            raise ValueError(
                f"loss term '{term.name}' must return a scalar tensor first, got {type(loss).__name__}{shape}."
            )
        loss = loss.reshape(())
    elif isinstance(result, Mapping):
        raise ValueError(
            f"loss term '{term.name}' returns a dict, so it cannot fill its outputs {', '.join(term.outputs)}: return "
            'tensors for them.'
        )
    if len(outputs) < len(term.outputs):
        raise ValueError(
            f"loss term '{term.name}' returns {len(outputs)} tensors besides its loss, but outputs names "
            f'{len(term.outputs)}: {", ".join(term.outputs)}.'
        )
    return loss, outputs
