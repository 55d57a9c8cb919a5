import pytest

from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config, to_size, token_grid
from cmdg_plugin.models.backbones.image_towers import ModifiedResNet, OpenClipViT, TimmViT, find_family


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('coca_ViT-B-32', 'CoCa'),
        ('convnext_base', 'not a plain ViT'),
        ('vit_medium_patch16_gap_256', "pooled by ''"),
        ('cmdg-test-unknown-timm', "timm has no image tower 'vit_of_tomorrow'"),
        ('cmdg-test-siglip-token', "pooled by 'token', with 0 tokens beside the patches"),
        ('cmdg-test-short-resnet', '3 groups of blocks'),
        ('ViT-L-14-CLIPA', "pooled by 'avg'"),
        ('xlm-roberta-base-ViT-B-32', 'Hugging Face'),
        ('cmdg-test-average', "pooled by 'avg'"),
        ('cmdg-test-attention-pool', 'attentional pooling'),
        ('cmdg-test-patch-dropout', 'patch_dropout'),
        ('cmdg-test-shallow', 'at least 2 blocks'),
        ('cmdg-test-bidirectional', "not causal, but its feature is pooled by 'argmax'"),
        ('cmdg-test-last-pool', "pooled by 'last'"),
        ('cmdg-test-class-embedding', 'appended class token'),
        ('ViT-B-17', 'no model named'),
    ],
)
def test_models_that_lack_something_are_refused_by_name_and_reason(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        find_model_config(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'family', 'rows'),
    [
        ('ViT-B-16', OpenClipViT, 14),
        ('ViT-B-32-quickgelu', OpenClipViT, 7),
        ('ViT-L-14', OpenClipViT, 16),
        ('ViT-L-14-336', OpenClipViT, 24),
        ('ViT-bigG-14', OpenClipViT, 16),
        ('RN50', ModifiedResNet, 7),
        ('RN50x4-quickgelu', ModifiedResNet, 9),
        ('EVA02-B-16', TimmViT, 14),
        ('EVA02-L-14-336', TimmViT, 24),
        ('ViT-B-16-SigLIP', TimmViT, 14),
        ('ViT-B-16-SigLIP2-256', TimmViT, 16),
        ('ViT-L-16-SigLIP-384', TimmViT, 24),
    ],
)
def test_families_and_their_grids(name: str, family: type, rows: int) -> None:
    config = find_model_config(name)
    assert find_family(config['vision_cfg']) is family
    assert token_grid(config) == (rows, rows)
    half = rows // 2 * config['vision_cfg']['image_size'] // rows
    assert token_grid(config, (2 * half, half)) == (rows // 2 * 2, rows // 2)


def test_sizes_are_one_number_or_two() -> None:
    assert to_size(224) == (224, 224)
    assert to_size([256, 128]) == (256, 128)
    for wrong in (0, (256,), (256, 0), (256, 128.0)):
        with pytest.raises(ValueError, match='image_size'):
            to_size(wrong)


def test_token_grid_of_other_sizes() -> None:
    config = find_model_config('cmdg-test-tiny')
    assert token_grid(config) == (6, 3)
    assert token_grid(config, (64, 16)) == (8, 2)
    with pytest.raises(ValueError, match=r'50x24 pixels.*8x8'):
        token_grid(config, (50, 24))
    with pytest.raises(ValueError, match='at least 3 rows, but it has 2'):
        token_grid(config, (16, 24))


def test_build_leaves_the_configuration_alone() -> None:
    config = find_model_config('cmdg-test-tiny')
    clip = build_clip(config, (64, 32), quick_gelu=True)
    assert clip.visual.image_size == (64, 32)
    assert type(clip.visual.transformer.resblocks[0].mlp.gelu).__name__ == 'QuickGELU'
    assert config == find_model_config('cmdg-test-tiny')


def test_positions_that_are_made_for_squares_refuse_other_images() -> None:
    config = {'vision_cfg': {'image_size': 64, 'patch_size': 16, 'pos_embed_type': 'sin_cos_2d'}}
    assert token_grid(config) == (4, 4)
    with pytest.raises(ValueError, match='made for as many rows as columns'):
        token_grid(config, (64, 48))
