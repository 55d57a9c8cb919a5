"""The list of loss terms of a stage, as a config writes it."""

import inspect
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from cmdg_plugin.registry import MODELS


@dataclass(frozen=True)
class _Term:
    """How one term is wired: from which fields it reads and to which it writes."""

    name: str
    weight: float
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    has_loss: bool = True
    runs: bool = True

    @property
    def key(self) -> str:
        return f'loss_{self.name}'


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
        # Keys carry the prefix so that no name of a term can collide with a method of ModuleDict ('values', 'type').
        self.losses = nn.ModuleDict()
        specs: list[_Term] = []
        for index, config in enumerate(terms):
            spec, module_config = _parse(index, config)
            _check_unique(spec, specs)
            module = _build(spec, module_config)
            spec = _without_loss(spec, config) if not getattr(module, 'has_loss', True) else spec
            _check_inputs(spec, module)
            _check_options(spec, module_config, module)
            self.losses[spec.key] = module
            specs.append(spec)
        self.terms = _mark_running(specs)

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

    def _tell(self, term: _Term, method: str, sizes: Mapping[str, int]) -> None:
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
            with torch.set_grad_enabled(torch.is_grad_enabled() and term.weight != 0):
                result = self.losses[term.key](**arguments)
            if isinstance(result, Mapping) and not term.has_loss:
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


def _parse(index: int, config: Mapping[str, Any]) -> tuple[_Term, dict[str, Any]]:
    """Split a term's config into its wiring and the module's own arguments."""
    if not isinstance(config, Mapping):
        raise ValueError(f'loss term {index}: expected a dict, got {type(config).__name__}')
    rest = dict(config)
    missing = [key for key in ('type', 'name', 'inputs') if key not in rest]
    if missing:
        raise ValueError(f'loss term {index} lacks {", ".join(missing)}; it has {", ".join(rest) or "nothing"}')
    name, weight = rest.pop('name'), rest.pop('weight', 1.0)
    inputs, outputs = rest.pop('inputs'), rest.pop('outputs', ())
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f'loss term {index}: name must be a word like soft_identity, got {name!r}')
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise ValueError(f"loss term '{name}': weight must be a finite number, got {weight!r}")
    if not isinstance(inputs, Mapping) or not all(isinstance(field, str) for field in inputs.values()):
        raise ValueError(f"loss term '{name}': inputs must map arguments to field names, got {inputs!r}")
    if isinstance(outputs, str) or not all(isinstance(field, str) for field in outputs):
        raise ValueError(f"loss term '{name}': outputs must be a list of field names, got {outputs!r}")
    return _Term(name, float(weight), dict(inputs), tuple(outputs)), rest


def _without_loss(spec: _Term, config: Mapping[str, Any]) -> _Term:
    if 'weight' in config:
        raise ValueError(f"loss term '{spec.name}': {config['type']} has no loss, so it takes no weight")
    return replace(spec, weight=0.0, has_loss=False)


def _check_unique(spec: _Term, others: list[_Term]) -> None:
    if spec.name in {other.name for other in others}:
        raise ValueError(f"two loss terms are named '{spec.name}'; give each its own name")
    taken = [output for other in others for output in other.outputs]
    for position, output in enumerate(spec.outputs):
        if output in taken or output in spec.outputs[:position]:
            raise ValueError(f"loss term '{spec.name}': output '{output}' is already written; choose another name")


def _build(spec: _Term, config: dict[str, Any]) -> nn.Module:
    try:
        module = MODELS.build(config)
    except TypeError as error:
        raise ValueError(f"loss term '{spec.name}': {config['type']} does not take these arguments: {error}") from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"loss term '{spec.name}': {config['type']} is no nn.Module but {type(module).__name__}")
    return module


def _check_inputs(spec: _Term, module: nn.Module) -> None:
    parameters = inspect.signature(module.forward).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [argument for argument in spec.inputs if argument not in named and not takes_any]
    missing = [name for name, p in named.items() if p.default is p.empty and name not in spec.inputs]
    for wrong, problem in ((unknown, 'does not take'), (missing, 'also needs')):
        if wrong:
            raise ValueError(
                f"loss term '{spec.name}': {type(module).__name__}.forward {problem} {', '.join(wrong)}; "
                f'it takes {", ".join(named)}'
            )


def _check_options(spec: _Term, config: Mapping[str, Any], module: nn.Module) -> None:
    for option, argument in getattr(module, 'needed_by', {}).items():
        if config.get(option) and argument not in spec.inputs:
            raise ValueError(
                f"loss term '{spec.name}': {option}={config[option]} does nothing without {argument}; name the field "
                f'that holds it, inputs={{..., {argument}=...}}, or leave {option} out'
            )


def _mark_running(specs: list[_Term]) -> tuple[_Term, ...]:
    """Drop terms that have no weight and no reader, from the last to the first so that chains resolve."""
    needed: set[str] = set()
    marked = []
    for spec in reversed(specs):
        # What neither has a loss nor feeds a term writes to the log.
        logs = not spec.has_loss and not spec.outputs
        runs = spec.weight != 0 or logs or not needed.isdisjoint(spec.outputs)
        if runs:
            needed.update(spec.inputs.values())
        marked.append(replace(spec, runs=runs))
    return tuple(reversed(marked))


def _field(term: _Term, field: str, known: Mapping[str, Any]) -> Any:
    if field not in known:
        raise ValueError(f"loss term '{term.name}' reads the field '{field}', but there are only: {', '.join(known)}")
    return known[field]


def _numbers(term: _Term, result: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {f'{term.name}/{key}': number for key, number in result.items()}
    wrong = [name for name in numbers if 'loss' in name]
    if wrong:
        raise ValueError(
            f"loss term '{term.name}' has no loss, but MMEngine would add '{wrong[0]}' to the losses for its name; "
            "choose one without 'loss'"
        )
    return numbers


def _split(term: _Term, result: Any) -> tuple[Tensor, tuple[Any, ...]]:
    """Separate a loss value from what a module returned behind it."""
    value, *extras = result if isinstance(result, tuple | list) else (result,)
    if not term.has_loss:
        extras = [value, *extras]
        value = torch.zeros(())
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"loss term '{term.name}' must return a scalar tensor first, got {type(value).__name__}")
    if len(extras) < len(term.outputs):
        raise ValueError(
            f"loss term '{term.name}' returns {len(extras)} tensors besides its loss, but outputs names "
            f'{len(term.outputs)}: {", ".join(term.outputs)}'
        )
    return value.reshape(()), tuple(extras)
