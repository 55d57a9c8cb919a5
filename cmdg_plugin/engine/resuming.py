"""Whether a run can go on from a checkpoint as if nothing had happened."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapper

from cmdg_plugin.checkpoints.stored_config import parse_stored_config
from cmdg_plugin.engine.changed_settings import compare_settings
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.saying import warn

_WAYS = ('fused', 'foreach')
"""Settings of torch's optimizers that change how a step is computed, and nothing else but its rounding."""


def describe_position(stages: Sequence[Stage], epochs_done: int) -> dict[str, Any]:
    """Say where in a staged run an epoch count lies, in plain types for a checkpoint's meta data.

    Returns:
        `stage` and `epochs_in_stage`, and all `stages` as pairs of name and epochs.
    """
    stage = next((stage for stage in stages if epochs_done <= stage.end), stages[-1])
    return {
        'stage': stage.name,
        'epochs_in_stage': epochs_done - stage.start,
        'stages': [[stage.name, stage.epochs] for stage in stages],
    }


def begun_stages(position: Mapping[str, Any] | None) -> list[str]:
    """Names of the stages that a run had begun at a position that `describe_position` gave; none if it is None."""
    if position is None:
        return []
    names = [name for name, _ in position['stages']]
    return names[: names.index(position['stage']) + 1]


def check_resume(checkpoint: Mapping[str, Any], stages: Sequence[Stage], fingerprints: Mapping[str, str]) -> None:
    """Refuse a checkpoint that a run cannot go on from: of other stages up to this point, or other training images.

    Args:
        checkpoint: What the file holds.
        stages: Stages of this run.
        fingerprints: Digest of the training images of each source of this run.

    Raises:
        ValueError: If the run cannot go on from there; says what differs.
    """
    meta = checkpoint.get('meta', {})
    missing = [name for name in ('epoch', 'iter') if not isinstance(meta.get(name), int)]
    missing += [name for name in ('optimizer', 'message_hub', 'state_dict') if name not in checkpoint]
    if missing:
        raise ValueError(
            f'This is not a checkpoint that a training can be resumed from: it lacks {", ".join(missing)}, as '
            'published files and bare weights do. To start from the weights alone, set load_from=FILE and no --resume.'
        )
    saved = meta.get('stage_position')
    if saved is not None:
        _check_stages(saved, describe_position(stages, meta['epoch']))
    before = meta.get('dataset_meta', {}).get('fingerprints')
    if before is not None and list(before.items()) != list(fingerprints.items()):
        changed = sorted(name for name, digest in fingerprints.items() if before.get(name, digest) != digest)
        raise ValueError(
            f'The checkpoint was trained on the sources {", ".join(before)}; this run has {", ".join(fingerprints)}'
            f'{" with other images of " + ", ".join(changed) if changed else ""}. Classifiers, prompts and the memory '
            'bank belong to the identities and images in their order: resume with the same sources and splits, or '
            'start from the weights alone with load_from.'
        )


def say_changes(checkpoint: Mapping[str, Any], now: Mapping[str, Any], origin: str) -> None:
    """Say in the log, a line each, what a run changes of the one that it goes on from.

    Raises:
        ValueError: If the run cannot go on with a change, such as another seed.
    """
    meta = checkpoint['meta']
    try:
        before = parse_stored_config(dict(checkpoint), origin)
    except ValueError:
        before = None
    # The config also lists stages of 0 epochs, which a position leaves out.
    names = [stage['name'] for stage in now['train_cfg']['stages']]
    begun = begun_stages(meta.get('stage_position'))
    stage = names.index(begun[-1]) if begun else 0
    for line in compare_settings(
        before, now, meta.get('world_size'), get_world_size(), stage=stage, checkpoint=str(origin)
    ):
        warn(line)


def check_optimizer(saved: Mapping[str, Any], optim_wrapper: OptimWrapper) -> None:
    """Refuse an optimizer's state that belongs to another optimizer or to other parameters.

    Raises:
        ValueError: If they do not fit; says what each of them keeps.
    """
    groups, own = saved.get('param_groups', []), optim_wrapper.optimizer.param_groups
    # What schedules and gradient clipping add to a group is not a property of the optimizer.
    there = {key for group in groups for key in group} - {'params', 'initial_lr'}
    here = set(optim_wrapper.optimizer.defaults)
    if not here <= there:
        raise ValueError(
            f'The checkpoint was saved with another optimizer: its state has {", ".join(sorted(there))}, but '
            f'{type(optim_wrapper.optimizer).__name__} needs {", ".join(sorted(here - there))}. Resume with the '
            'optimizer of that run, or start from the weights alone with load_from and without --resume.'
        )
    sizes = [[len(group['params']) for group in which] for which in (groups, own)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"The checkpoint's optimizer trains {sum(sizes[0])} parameters in {len(groups)} groups, this run's "
            f'{sum(sizes[1])} in {len(own)}: resume with the `trainable`, the paramwise settings and the model of that '
            'run, or start from the weights alone with load_from and without --resume.'
        )


def compute_as_now(saved: Mapping[str, Any], optim_wrapper: OptimWrapper) -> None:
    """Let an optimizer's state follow this run in how a step is computed, fused or not.

    Torch's `load_state_dict` would take that from the state: the optimizer would then not be the one that mixed
    precision takes it for, and its first step fail.

    Args:
        saved: The state, which is changed.
        optim_wrapper: The optimizer that it is for.
    """
    here = optim_wrapper.optimizer.defaults
    for group in saved['param_groups']:
        group.update({name: here[name] for name in _WAYS if name in here})


def _check_stages(saved: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    # What comes later may be changed: it has not begun.
    begun = len(begun_stages(saved))
    if saved['stages'][:begun] != here['stages'][:begun]:
        raise ValueError(
            f"The checkpoint was saved after epoch {saved['epochs_in_stage']} of stage '{saved['stage']}' of a run of "
            f'{_spell(saved["stages"])}; this config has {_spell(here["stages"])}. Learning rates follow the length of '
            'a stage: resume with the stages of the first run up to this point, or start from the weights alone with '
            'load_from.'
        )


def _spell(stages: Sequence[Sequence[Any]]) -> str:
    return ' + '.join(f'{epochs} {name}' for name, epochs in stages)
