import pytest

from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config, to_size, token_grid


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('RN50', 'ResNet'),
        ('ViT-B-16-SigLIP', 'timm'),
        ('EVA02-B-16', 'timm'),
        ('coca_ViT-B-32', 'CoCa'),
        ('ViT-L-14-CLIPA', "pooled by 'avg'"),
        ('xlm-roberta-base-ViT-B-32', 'Hugging Face'),
        ('cmdg-test-average', "pooled by 'avg'"),
        ('cmdg-test-attention-pool', 'attentional pooling'),
        ('cmdg-test-patch-dropout', 'patch_dropout'),
        ('cmdg-test-shallow', 'at least 2 blocks'),
        ('cmdg-test-bidirectional', 'not causal'),
        ('cmdg-test-last-pool', "pooled by 'last'"),
        ('cmdg-test-class-embedding', 'appended class token'),
        ('ViT-B-17', 'no model named'),
    ],
)
def test_models_that_lack_something_are_refused_by_name_and_reason(name, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        find_model_config(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    'name', ['ViT-B-16', 'ViT-B-32-quickgelu', 'ViT-L-14', 'ViT-L-14-336', 'ViT-H-14', 'ViT-bigG-14', 'ViT-S-16']
)
def test_plain_vits_of_open_clip_are_accepted(name):
    rows, columns = token_grid(find_model_config(name))
    assert rows == columns >= 7


def test_sizes():
    assert to_size(224) == (224, 224)
    assert to_size([256, 128]) == (256, 128)
    for wrong in (0, (256,), (256, 0), (256, 128.0)):
        with pytest.raises(ValueError, match='image_size'):
            to_size(wrong)


def test_token_grid_of_other_sizes():
    config = find_model_config('cmdg-test-tiny')
    assert token_grid(config) == (6, 3)
    assert token_grid(config, (64, 16)) == (8, 2)
    with pytest.raises(ValueError, match=r'50x24 pixels.*8x8'):
        token_grid(config, (50, 24))
    with pytest.raises(ValueError, match='at least 3 rows, but it has 2'):
        token_grid(config, (16, 24))


def test_build_leaves_the_configuration_alone():
    config = find_model_config('cmdg-test-tiny')
    clip = build_clip(config, (64, 32), quick_gelu=True)
    assert clip.visual.image_size == (64, 32)
    assert type(clip.visual.transformer.resblocks[0].mlp.gelu).__name__ == 'QuickGELU'
    assert config == find_model_config('cmdg-test-tiny')
