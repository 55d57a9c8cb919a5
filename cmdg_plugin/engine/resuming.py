"""Whether a run can go on from a checkpoint as if nothing had happened."""

from collections.abc import Mapping, Sequence
from typing import Any

from cmdg_plugin.engine.stages import Stage


def describe_position(stages: Sequence[Stage], epochs_done: int) -> dict[str, Any]:
    """Say where in a staged run an epoch count lies, in plain types for a checkpoint's meta data.

    Args:
        stages: The run's stages.
        epochs_done: Epochs of the whole run that are done.

    Returns:
        `stage` and `epochs_in_stage`, and all `stages` as pairs of name and epochs.
    """
    stage = next((stage for stage in stages if epochs_done <= stage.end), stages[-1])
    return {
        'stage': stage.name,
        'epochs_in_stage': epochs_done - stage.start,
        'stages': [[stage.name, stage.epochs] for stage in stages],
    }


def check_resume(meta: Mapping[str, Any], stages: Sequence[Stage], fingerprints: Mapping[str, str]) -> None:
    """Refuse a checkpoint whose run had other stages up to this point, or other training images.

    Args:
        meta: The checkpoint's meta data.
        stages: Stages of this run.
        fingerprints: Digest of the training images of each source of this run.

    Raises:
        ValueError: If the run cannot go on from there; says what differs.
    """
    if 'epoch' not in meta:
        raise ValueError(
            'This is no checkpoint of a training run (it does not say how many epochs are done), so there is nothing '
            'to resume. To start from its weights alone, use load_from without resume.'
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
            'bank belong to the people and images in their order: resume with the same sources and splits, or start '
            'from the weights alone with load_from.'
        )


def _check_stages(saved: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    # What comes later may be changed: it has not begun.
    begun = [name for name, _ in saved['stages']].index(saved['stage']) + 1
    if saved['stages'][:begun] != here['stages'][:begun]:
        raise ValueError(
            f"The checkpoint was saved after epoch {saved['epochs_in_stage']} of stage '{saved['stage']}' of a run of "
            f'{_spell(saved["stages"])}; this config has {_spell(here["stages"])}. Learning rates follow the length of '
            'a stage: resume with the stages of the first run up to this point, or start from the weights alone with '
            'load_from.'
        )


def _spell(stages: Sequence[Sequence[Any]]) -> str:
    return ' + '.join(f'{epochs} {name}' for name, epochs in stages)
