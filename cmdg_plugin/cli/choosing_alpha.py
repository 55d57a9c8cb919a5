"""How far a trained image tower goes back towards its pretrained weights, chosen on a source that was put aside."""

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor

from cmdg_plugin.checkpoints.interpolating import check_as_trained, interpolate_weights
from cmdg_plugin.checkpoints.reading import read_checkpoint
from cmdg_plugin.cli.input_checks import check_data
from cmdg_plugin.cli.known_arguments import check_arguments
from cmdg_plugin.datasets.sources.index import build_source
from cmdg_plugin.engine.encoding import plain_model
from cmdg_plugin.engine.quiet_runner import build_runner
from cmdg_plugin.evaluation.score_table import format_score_table
from cmdg_plugin.saying import say

_AVERAGE = 'average/'


def check_held_out(config: Config, checkpoint: Mapping[str, Any]) -> None:
    """Refuse to choose by targets, by what a model was trained on, or for weights that were moved back before.

    Args:
        config: The config that scores.
        checkpoint: The model's checkpoint, which names the sources that it was trained on.

    Raises:
        FileNotFoundError: If the data are not there.
        ValueError: If a target is not a `HeldOutSource`, the model was trained on its source, or it is moved back.
    """
    check_as_trained(checkpoint)
    check_data(config, 'test_dataloader')
    targets = config.test_dataloader.dataset.targets
    if not all(str(target.get('type')).endswith('HeldOutSource') for target in targets):
        raise ValueError(
            'What is chosen by a target is fitted to it: choose alpha on a source that was put aside, as '
            "--cfg-options held_out=station does on Islands, or dict(type='HeldOutSource', source=...) in "
            'test_dataloader.dataset.targets.'
        )
    trained = checkpoint.get('meta', {}).get('dataset_meta', {}).get('fingerprints', {})
    seen = sorted({build_source(target).name for target in targets} & set(trained))
    if seen:
        raise ValueError(
            f'The checkpoint was trained on {", ".join(seen)}, so its scores there say nothing. Train without it '
            '(CMDG_HELD_OUT on Islands), choose alpha there, and give it to the model of all sources by --alpha.'
        )


def choose_alpha(
    config: Config, checkpoint: Path, pretrained: Mapping[str, Tensor], alphas: Sequence[float], metric: str
) -> float:
    """Score a checkpoint mixed with its pretrained weights, and say the scores in the log.

    Args:
        config: The config that scores; see `check_held_out`.
        checkpoint: The model's checkpoint.
        pretrained: From `pretrained_image_weights`.
        alphas: Shares of the fine-tuned weights to try, in [0, 1].
        metric: The score that decides, such as `average/mAP`.

    Returns:
        The share with the highest score; of equal ones the one that stands first.

    Raises:
        ValueError: If a share is out of range, or there is no such score.
    """
    check_arguments(config.to_dict())
    weights = read_checkpoint(checkpoint).get('state_dict', {})
    config = copy.deepcopy(config)
    config.load_from = str(checkpoint)
    config.get('default_hooks', {}).pop('results', None)
    found: dict[float, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        config.work_dir = folder
        runner = build_runner(config)
        runner.load_or_resume()
        for alpha in alphas:
            mixed = interpolate_weights(pretrained, weights, alpha)
            plain_model(runner.model).load_state_dict(mixed, strict=False)
            found[alpha] = runner.test()
            if metric not in found[alpha]:
                raise ValueError(f'There is no score {metric}; there are {", ".join(found[alpha])}.')
    shown = {
        f'alpha {alpha:g}/{name.removeprefix(_AVERAGE)}': value
        for alpha, metrics in found.items()
        for name, value in metrics.items()
        if name.startswith(_AVERAGE)
    }
    say(f'Scores on the held-out source (percent)\n{format_score_table(shown)}')
    return max(found, key=lambda alpha: found[alpha][metric])
