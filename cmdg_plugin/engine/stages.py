"""What a stage of the run is: its epochs, what it trains, and how."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config, ConfigDict

_OPTIONAL = ('trainable', 'optim_wrapper', 'param_scheduler', 'train_dataloader')


@dataclass(frozen=True)
class Stage:
    """One stage of a staged run, as the config describes it.

    Args:
        name: A stage that the model knows, such as `warmup`, `prompt` or `bridging`.
        epochs: How many epochs it lasts.
        start: Epochs of the whole run that come before it.
        trainable: Beginnings of the names of the parameters that it trains.
        optim_wrapper: Settings laid over the run's `optim_wrapper`.
        param_scheduler: Its own schedules; they count this stage's epochs from 0.
        train_dataloader: Settings laid over the run's `train_dataloader`.
    """

    name: str
    epochs: int
    start: int
    trainable: tuple[str, ...]
    optim_wrapper: dict[str, Any] = field(default_factory=dict)
    param_scheduler: list[dict[str, Any]] = field(default_factory=list)
    train_dataloader: dict[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Epochs of the whole run that are done when this stage is."""
        return self.start + self.epochs


def parse_stages(stages: Sequence[dict[str, Any]], known: Sequence[str]) -> list[Stage]:
    """Read the stage list of a config; stages of 0 epochs are left out.

    Args:
        stages: The config's list, in the order of the run.
        known: Names of the stages that the model can run.

    Returns:
        The stages that last at least one epoch, each with its place in the run.

    Raises:
        ValueError: If a stage is unknown, named twice, has unknown or missing settings, or none has any epochs.
    """
    parsed: list[Stage] = []
    names: set[str] = set()
    for position, settings in enumerate(stages):
        stage = _parse_stage(dict(settings), position, known, start=parsed[-1].end if parsed else 0)
        if stage.name in names:
            raise ValueError(f"Stage '{stage.name}' stands twice in train_cfg.stages; each stage may run once.")
        names.add(stage.name)
        if stage.epochs:
            parsed.append(stage)
    if not parsed:
        raise ValueError('Every stage in train_cfg.stages has 0 epochs: there is nothing to train.')
    return parsed


def _parse_stage(settings: dict[str, Any], position: int, known: Sequence[str], start: int) -> Stage:
    place = f'train_cfg.stages.{position}'
    name = settings.pop('name', None)
    if name not in known:
        raise ValueError(f'{place} is stage {name!r}, which the model does not know; it knows {", ".join(known)}.')
    epochs = settings.pop('epochs', None)
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 0:
        raise ValueError(f"{place} ('{name}') needs `epochs`, a whole number from 0; it has {epochs!r}.")
    unknown = sorted(set(settings) - set(_OPTIONAL))
    if unknown:
        raise ValueError(f"{place} ('{name}') has unknown settings {unknown}; a stage takes name, epochs, {_OPTIONAL}.")
    trainable = settings.pop('trainable', None)
    if not trainable or isinstance(trainable, str):
        raise ValueError(f"{place} ('{name}') needs `trainable`, a list of beginnings of parameter names.")
    schedules = settings.pop('param_scheduler', None) or []
    return Stage(
        name=name,
        epochs=epochs,
        start=start,
        trainable=tuple(trainable),
        param_scheduler=[schedules] if isinstance(schedules, dict) else list(schedules),
        **settings,
    )


def overlay(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Lay a stage's settings over the run's, as a child config does over its base.

    Args:
        base: The run's settings; left untouched.
        changes: The stage's; `_delete_=True` in a nested dict replaces it as a whole.
    """
    merged = Config(ConfigDict(settings=base))
    merged.merge_from_dict({'settings': changes})
    return merged.settings.to_dict()
