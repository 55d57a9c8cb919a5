from mmengine.logging import MessageHub

from cmdg_plugin.engine.stage_logging import forget_losses


def test_losses_of_the_stage_before_are_forgotten_and_the_rest_is_kept() -> None:
    hub = MessageHub.get_instance('stage-logging-test')
    for name in ('train/loss', 'train/loss_triplet', 'train/neighbors/share', 'train/time', 'val/target/mAP'):
        hub.update_scalar(name, 1.0)
    forget_losses(hub)
    assert sorted(hub.log_scalars) == ['train/time', 'val/target/mAP']
