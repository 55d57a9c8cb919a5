import pytest
from mmengine.config import Config

from cmdg_plugin.cli.read_settings import check_is_read

CONFIG = Config(
    {
        'model': {'type': 'CMDGReID', 'backbone': {'image_size': (256, 128)}},
        'image_size': (256, 128),
        'notes': {'author': 'me'},
    }
)


@pytest.mark.parametrize('option', ['model.backbone.image_size', 'work_dir', 'compile', 'notes.author'])
def test_what_something_may_read_passes(option: str) -> None:
    check_is_read(option, CONFIG)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('backbone.image_size', r'the config has no backbone \(did you mean model\.backbone\?\)'),
        ('modle.backbone', r'the config has no modle \(did you mean model\?\)'),
        ('image_size', 'the config computes other values from image_size while it is read'),
        ('image_size.0', 'computes other values from image_size'),
    ],
)
def test_what_would_be_ignored_is_refused(option: str, message: str) -> None:
    with pytest.raises(ValueError, match=f'--cfg-options {option}: .*{message}'):
        check_is_read(option, CONFIG)
