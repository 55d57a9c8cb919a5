"""What the log and its curves keep of a stage."""

from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor, Runner

from cmdg_plugin.registry import LOG_PROCESSORS


def forget_losses(hub: MessageHub) -> None:
    """Drop what the previous stage's loss terms reported, which would go on standing in every line of the next one."""
    for name in list(hub.log_scalars):
        mode, _, scalar = name.partition('/')
        # A term without a loss reports numbers as `<its name>/<what>`.
        if mode == 'train' and ('loss' in scalar or '/' in scalar):
            del hub.log_scalars[name]


@LOG_PROCESSORS.register_module()
class StageLogProcessor(LogProcessor):
    """Log processor that files training scalars under the stage they belong to.

    `loss` becomes `warmup/loss`, so that a visualizer draws a curve per stage instead of one curve that jumps.
    Scores, the epoch and the iteration keep their names. Takes MMEngine's own arguments.
    """

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Format the log after an iteration; see the base class."""
        tag, text = super().get_log_after_iter(runner, batch_idx, mode)
        stage = getattr(runner.train_loop, 'stage', None) if mode == 'train' else None
        if stage is not None:
            tag = {key if key in ('epoch', 'iter') else f'{stage.name}/{key}': value for key, value in tag.items()}
        return tag, text
