"""Names and shapes, by hand; that the features are the same: test_weight_roads.py."""

import torch

from cmdg_plugin.models.backbones.transformers_clip import convert_transformers, is_transformers

LAYER = 'text_model.encoder.layers.1.self_attn'


def test_query_key_and_value_become_one_matrix_in_this_order() -> None:
    state = {f'{LAYER}.{part}_proj.weight': torch.full((2, 2), number) for number, part in enumerate('kvq')}
    ((name, value),) = convert_transformers(state).items()
    assert name == 'transformer.resblocks.1.attn.in_proj_weight'
    assert value[:, 0].tolist() == [2, 2, 0, 0, 1, 1]


def test_projections_are_turned_and_other_names_stay() -> None:
    weights = torch.arange(6).view(2, 3)
    converted = convert_transformers(
        {
            'visual_projection.weight': weights,
            'vision_model.embeddings.patch_embedding.weight': weights,
            'logit_scale': torch.tensor(1.0),
            'a_head.weight': weights,
        }
    )
    assert converted.keys() == {'visual.proj', 'visual.conv1.weight', 'logit_scale', 'a_head.weight'}
    assert converted['visual.proj'].tolist() == weights.T.tolist()
    assert converted['visual.conv1.weight'] is weights


def test_whose_names_they_are() -> None:
    assert is_transformers({'vision_model.post_layernorm.weight': torch.ones(1)})
    assert not is_transformers({'visual.ln_post.weight': torch.ones(1)})
