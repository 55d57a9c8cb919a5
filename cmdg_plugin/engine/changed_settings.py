"""What a resumed run changes of the run that it goes on from, in one line each."""

from collections.abc import Mapping
from typing import Any

from cmdg_plugin.nested import flatten, has_prefix

_ABSENT = object()
_READ = (
    'model',
    'optim_wrapper',
    'param_scheduler',
    'train_dataloader',
    'train_cfg',
    'randomness',
    'custom_hooks',
    'auto_scale_lr',
)
# Inside of these, what changes how fast a run is or how much it says, and nothing that is learned.
_UNSAID = (
    'train_dataloader.num_workers',
    'train_dataloader.pin_memory',
    'train_dataloader.persistent_workers',
    'train_dataloader.prefetch_factor',
    'train_dataloader.dataset.image_cache',
    'train_dataloader.dataset.index_cache',
    'train_cfg.val_interval',
    'train_cfg.val_before_training',
    'model.flip_test',
)
_AT_NEXT_STAGE = (
    'the current stage goes on with the optimizer and the schedule in the checkpoint, so it counts from the next stage '
    'on; to have it at once, start from the weights alone with load_from={checkpoint} and without --resume'
)
_SEED = 'randomness.seed'
_WRONG_SEED = (
    'what a run draws follows from its seed. Resume with the seed that it was begun with, or start from the weights '
    'alone with load_from.'
)
_MAX_LINES = 12


def compare_settings(
    before: Mapping[str, Any] | None,
    now: Mapping[str, Any],
    world_size_before: int | None = None,
    world_size_now: int = 1,
    *,
    stage: int = 0,
    checkpoint: str = 'CHECKPOINT',
) -> list[str]:
    """Compare the settings of two runs, as far as they decide what is learned.

    Args:
        before: Config of the run that saved the checkpoint, as a plain dict; None if it is not known.
        now: Config of the run that goes on from it, likewise.
        world_size_before: Processes of the first run; None if it is not known.
        world_size_now: Processes of this run.
        stage: Position in `train_cfg.stages` of the stage that the checkpoint stands in.
        checkpoint: Name of the checkpoint, for what to do.

    Returns:
        Lines on what counts, or does not, from here on.

    Raises:
        ValueError: If they differ in what no run can go on with.
    """
    said = []
    if world_size_before is not None and world_size_before != world_size_now:
        batch = (now.get('train_dataloader') or {}).get('batch_size')
        said.append(
            f'The run was begun with {world_size_before} processes and goes on with {world_size_now}: a step now takes '
            f'{world_size_now} x {batch} images, at unchanged learning rates.'
        )
    if before is None:
        return said
    old, new = _learned_from(before), _learned_from(now)
    changed = [key for key in {**old, **new} if not _same(old.get(key, _ABSENT), new.get(key, _ABSENT))]
    if _SEED in changed:
        raise ValueError(f'{_spell(_SEED, old, new)}: {_WRONG_SEED}')
    lines = [f'{_spell(key, old, new)}: {_effect(key, stage, checkpoint)}.' for key in changed]
    if len(lines) > _MAX_LINES:
        unsaid = len(lines) - _MAX_LINES + 1
        lines = [*lines[:-unsaid], f'{unsaid} more settings have changed: compare the configs.']
    return said + lines


def _effect(key: str, stage: int, checkpoint: str) -> str:
    """From when on a changed setting counts."""
    place = key.split('.')
    if place[:2] == ['train_cfg', 'stages'] and len(place) > 2 and int(place[2]) != stage:
        over = int(place[2]) < stage
        return 'that stage is over, so it changes nothing' if over else 'it counts when that stage begins'
    # Until the stage ends, the saved state of the optimizer or of a schedule decides over these.
    if {'optimizer', 'constructor', 'param_scheduler', 'paramwise_cfg', 'auto_scale_lr'} & set(place):
        return _AT_NEXT_STAGE.format(checkpoint=checkpoint)
    if place[-1] == 'batch_size' and 'train_dataloader' in place:
        return 'from here on epochs have another number of steps, at unchanged learning rates'
    return 'it counts from here on'


def _spell(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    was, now = (repr(settings[key]) if key in settings else 'not set' for settings in (old, new))
    return f'{key} was {was} and is {now}'


def _learned_from(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key, without those that change nothing that is learned."""
    settings = flatten({name: config[name] for name in _READ if name in config})
    return {key: value for key, value in settings.items() if not any(has_prefix(key, unsaid) for unsaid in _UNSAID)}


def _same(old: Any, new: Any) -> bool:
    """Whether two values are one: absent, None and what is empty are."""
    return old == new or all(value is _ABSENT or value in (None, [], (), {}) for value in (old, new))
