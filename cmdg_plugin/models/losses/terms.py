"""The list of loss terms of a stage, as a config writes it."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cmdg_plugin.models.losses.term_config import Term, read_terms
from cmdg_plugin.registry import MODELS


@MODELS.register_module()
class LossTerms(nn.Module):
    """Weighted loss terms that read named fields and may leave fields for the terms behind them.

    A new term is one registered class and one entry here::

        LossTerms([
            dict(type='PartNeighborLoss', name='part', weight=0.8, num_neighbors=10,
                 inputs=dict(parts='image_parts', bank='bank', positions='image_index'), outputs=['neighbors']),
            dict(type='SoftIdentityLoss', name='sid', weight=3.75,
                 inputs=dict(logits='logits', targets='labels', neighbors='neighbors', bank_labels='bank_labels')),
        ])

    A term with weight 0 is not computed, unless a later term that is computed reads one of its outputs; then it runs
    without gradient. Neither way is it reported.

    A module whose class says `has_loss = False` has no weight: it returns what its `outputs` name, and is computed only
    if a term that is computed reads one of them; or it returns a dict of numbers for the log, `<name>/<key>`.

    A term may have parameters: name it in the stage's `trainable`, as `losses.<stage>`. Where the training data decides
    their number, the module has a method `bind_data` that makes them; it is given, by name, what it asks for. In the
    same way, `check_data` may refuse training data that the module can do nothing with.

    An option that does nothing without one of the inputs stands with it in the class's `needed_by`, so that an entry
    that sets the one and forgets the other is refused.

    Args:
        terms: One dict a term: `type` (any module of the `MODELS` registries) and its arguments; `name` (unique; the
            loss is reported as `loss_<name>`); `inputs`, field name by argument of the module's `forward`; optionally
            `weight` (finite, default 1) and `outputs`, names for what `forward` returns behind the loss.

    Raises:
        ValueError: If a name or an output stands twice, a weight is not a finite number, a module does not take one of
            the keys, its `forward` lacks one of `inputs` or needs an argument that is not among them, or an option
            lacks its input.
    """

    def __init__(self, terms: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.terms, modules = read_terms(terms)
        # Keys carry the prefix so that no name of a term can collide with a method of ModuleDict ('values', 'type').
        self.losses = nn.ModuleDict(modules)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all terms, in order."""
        return tuple(term.name for term in self.terms)

    @property
    def reads(self) -> frozenset[str]:
        """Names of all fields that terms which are computed read."""
        return frozenset(field for term in self.terms if term.runs for field in term.inputs.values())

    def bind_data(self, **sizes: int) -> None:
        """Tell the terms that ask for it, by a method of this name, what the training data decides.

        Args:
            **sizes: Every size there is, by name; a term is given those that its method has arguments for.

        Raises:
            ValueError: If a term asks for a size that is none of them.
        """
        for term in self.terms:
            self._tell(term, 'bind_data', sizes)

    def check_data(self, **sizes: int) -> None:
        """Let the terms that are computed refuse training data, by a method of this name.

        Args:
            **sizes: As for `bind_data`.

        Raises:
            ValueError: If a term does, or asks for a size that is none of them.
        """
        for term in self.terms:
            if term.runs:
                self._tell(term, 'check_data', sizes)

    def _tell(self, term: Term, method: str, sizes: Mapping[str, int]) -> None:
        told = getattr(self.losses[term.key], method, None)
        if told is None:
            return
        asked = list(inspect.signature(told).parameters)
        unknown = [name for name in asked if name not in sizes]
        if unknown:
            raise ValueError(
                f"loss term '{term.name}': {method} asks for {', '.join(unknown)}; there are {', '.join(sizes)}"
            )
        told(**{name: sizes[name] for name in asked})

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
            value, extras = _split(term, result)
            for name, extra in zip(term.outputs, extras, strict=False):
                if name in known:
                    raise ValueError(
                        f"loss term '{term.name}': its output '{name}' would replace the field of that name"
                    )
                known[name] = extra
            if term.weight != 0:
                values[term.key] = term.weight * value
        return values

    def extra_repr(self) -> str:
        """Name the terms with their weights."""
        return ', '.join(f'{term.name}={term.weight:g}' for term in self.terms)


def _field(term: Term, field: str, known: Mapping[str, Any]) -> Any:
    if field not in known:
        raise ValueError(f"loss term '{term.name}' reads the field '{field}', but there are only: {', '.join(known)}")
    return known[field]


def _numbers(term: Term, result: Any) -> dict[str, Any]:
    if not isinstance(result, Mapping):
        raise ValueError(
            f"loss term '{term.name}' has neither a loss nor outputs, so it must return a dict of numbers for the log, "
            f'got {type(result).__name__}'
        )
    numbers = {f'{term.name}/{key}': number for key, number in result.items()}
    wrong = [name for name in numbers if 'loss' in name]
    if wrong:
        raise ValueError(
            f"loss term '{term.name}' has no loss, but MMEngine would add '{wrong[0]}' to the losses for its name; "
            "choose one without 'loss'"
        )
    return numbers


def _split(term: Term, result: Any) -> tuple[Tensor, tuple[Any, ...]]:
    """Separate a loss value from what a module returned behind it."""
    value, *extras = result if isinstance(result, tuple | list) else (result,)
    if isinstance(result, Mapping) and not term.has_loss:
        raise ValueError(
            f"loss term '{term.name}' returns a dict, so it cannot fill its outputs {', '.join(term.outputs)}: return "
            'tensors for them'
        )
    if not term.has_loss:
        extras = [value, *extras]
        value = torch.zeros(())
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = f' of shape {tuple(value.shape)}' if isinstance(value, Tensor) else ''
        raise ValueError(
            f"loss term '{term.name}' must return a scalar tensor first, got {type(value).__name__}{shape}"
        )
    if len(extras) < len(term.outputs):
        raise ValueError(
            f"loss term '{term.name}' returns {len(extras)} tensors besides its loss, but outputs names "
            f'{len(term.outputs)}: {", ".join(term.outputs)}'
        )
    return value.reshape(()), tuple(extras)
