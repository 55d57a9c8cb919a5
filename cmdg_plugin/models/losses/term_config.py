"""One entry of a stage's list of loss terms: read from the config, and checked before anything runs."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from cmdg_plugin.models.losses.base import BASE_MEMBERS, LossTerm
from cmdg_plugin.registry import MODELS

_PARTS_OF_BANK = ('bank_labels', 'bank_text')


@dataclass
class Term:
    """How one term is wired: from which fields it reads and to which it writes.

    Args:
        name: What the log calls it.
        weight: Factor on its loss; 0 where it has none.
        inputs: Field name by argument of its module's `forward`.
        outputs: Names of the fields that it leaves for the terms after it.
        has_loss: Whether its module returns a loss.
        runs: Whether it is computed.
    """

    name: str
    weight: float
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    has_loss: bool = True
    runs: bool = True

    @property
    def key(self) -> str:
        """Name of its loss and its module."""
        return f'loss_{self.name}'


def read_terms(configs: Sequence[Mapping[str, Any]]) -> tuple[tuple[Term, ...], dict[str, nn.Module]]:
    """Read the list of a stage's terms.

    Args:
        configs: One dict a term; see `LossTerms`.

    Returns:
        How the terms are wired, in order, and the module of each by its key.

    Raises:
        ValueError: If an entry is wrong; names it and says what is.
    """
    terms: list[Term] = []
    modules: dict[str, nn.Module] = {}
    for index, config in enumerate(configs):
        term, module_config = _parse(index, config)
        _check_unique(term, terms)
        module = _build(term, module_config)
        # Any other module has the defaults of the base.
        members = module if isinstance(module, LossTerm) else LossTerm
        if not members.has_loss:
            if 'weight' in config:
                raise ValueError(f"loss term '{term.name}': {config['type']} has no loss, so it takes no weight.")
            term.weight, term.has_loss = 0.0, False
        term.inputs = _fill_inputs(term, module, members.renamed_inputs)
        _check_options(term, module_config, members.needed_by)
        modules[term.key] = module
        terms.append(term)
    _mark_running(terms)
    return tuple(terms), modules


def _parse(index: int, config: Mapping[str, Any]) -> tuple[Term, dict[str, Any]]:
    """Split a term's config into its wiring and the module's own arguments."""
    if not isinstance(config, Mapping):
        raise ValueError(f'loss term {index}: expected a dict, got {type(config).__name__}.')
    rest = dict(config)
    missing = [key for key in ('type', 'name') if key not in rest]
    if missing:
        raise ValueError(f'loss term {index} lacks {", ".join(missing)}; it has {", ".join(rest) or "nothing"}.')
    name, weight = rest.pop('name'), rest.pop('weight', 1.0)
    inputs, outputs = rest.pop('inputs', {}), rest.pop('outputs', ())
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f'loss term {index}: name must be a word like soft_identity, got {name!r}.')
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise ValueError(f"loss term '{name}': weight must be a finite number, got {weight!r}.")
    if not isinstance(inputs, Mapping) or not all(isinstance(field, str) for field in inputs.values()):
        raise ValueError(f"loss term '{name}': inputs must map arguments to field names, got {inputs!r}.")
    if isinstance(outputs, str) or not all(isinstance(field, str) for field in outputs):
        raise ValueError(f"loss term '{name}': outputs must be a list of field names, got {outputs!r}.")
    return Term(name, float(weight), dict(inputs), tuple(outputs)), rest


def _check_unique(term: Term, others: list[Term]) -> None:
    if term.name in {other.name for other in others}:
        raise ValueError(f"two loss terms are named '{term.name}'; give each its own name.")
    taken = [output for other in others for output in other.outputs]
    for position, output in enumerate(term.outputs):
        if output in taken or output in term.outputs[:position]:
            raise ValueError(f"loss term '{term.name}': output '{output}' is already written; choose another name.")


def _build(term: Term, config: dict[str, Any]) -> nn.Module:
    try:
        module = MODELS.build(config)
    except TypeError as error:
        raise ValueError(
            f"loss term '{term.name}': {config['type']} does not take these arguments: {error}."
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"loss term '{term.name}': {config['type']} is not an nn.Module but {type(module).__name__}.")
    stray = [name for name in BASE_MEMBERS if hasattr(module, name) and not isinstance(module, LossTerm)]
    if stray:
        raise ValueError(
            f"loss term '{term.name}': {type(module).__name__} has {', '.join(stray)}, which only counts in a subclass "
            'of cmdg_plugin.models.losses.LossTerm: derive it from there.'
        )
    return module


def _fill_inputs(term: Term, module: nn.Module, renamed: Mapping[str, str | None]) -> dict[str, str]:
    """Name the field of each argument: as the config says, else the one of the argument's own name."""
    parameters = inspect.signature(module.forward).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    inputs = {name: name for name, p in named.items() if p.default is p.empty}
    for written, field in term.inputs.items():
        argument = renamed.get(written, written)
        if argument is not None:
            # An older config names a part of the bank; what is asked for now is the bank.
            inputs[argument] = 'bank' if argument == 'bank' and field in _PARTS_OF_BANK else field
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [argument for argument in inputs if argument not in named and not takes_any]
    if unknown:
        raise ValueError(
            f"loss term '{term.name}': {type(module).__name__}.forward does not take {', '.join(unknown)}; "
            f'it takes {", ".join(named)}.'
        )
    return inputs


def _check_options(term: Term, config: Mapping[str, Any], needed_by: Mapping[str, str]) -> None:
    for option, argument in needed_by.items():
        given = config.get(option) or term.inputs.get(option)
        if given and argument not in term.inputs:
            raise ValueError(
                f"loss term '{term.name}': {option}={given} does nothing without {argument}; name the field "
                f'that holds it, inputs={{..., {argument}=...}}, or leave {option} out.'
            )


def _mark_running(terms: Sequence[Term]) -> None:
    """Drop terms that have no weight and no reader, from the last to the first so that chains resolve."""
    needed: set[str] = set()
    for term in reversed(terms):
        # What neither has a loss nor feeds a term writes to the log.
        logs = not term.has_loss and not term.outputs
        term.runs = term.weight != 0 or logs or not needed.isdisjoint(term.outputs)
        if term.runs:
            needed.update(term.inputs.values())
