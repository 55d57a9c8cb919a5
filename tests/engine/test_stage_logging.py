import logging

from mmengine.logging import MessageHub

from cmdg_plugin.engine.stage_logging import forget_losses, stage_name_in_log


def test_lines_begin_with_the_stage_inside_the_context_only(caplog):
    logger = logging.getLogger('stage-test')
    stage = 'warmup'
    with caplog.at_level(logging.INFO, 'stage-test'):
        with stage_name_in_log(logger, lambda: stage):
            logger.info('first')
            stage = 'prompt'
            logger.info('second %d', 2)
        logger.info('third')
    assert caplog.messages == ['[warmup] first', '[prompt] second 2', 'third']


def test_losses_of_the_stage_before_are_forgotten_and_the_rest_is_kept():
    hub = MessageHub.get_instance('stage-logging-test')
    for name in ('train/loss', 'train/loss_triplet', 'train/neighbors/share', 'train/time', 'val/target/mAP'):
        hub.update_scalar(name, 1.0)
    forget_losses(hub)
    assert sorted(hub.log_scalars) == ['train/time', 'val/target/mAP']
