import copy
from collections.abc import Callable
from pathlib import Path

import mmpretrain.models  # noqa: F401
import open_clip
import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from safetensors.torch import save_file

from cmdg_plugin.models.backbones import TextAwareCLIP

SENTENCES = ['a man', 'A woman in a red coat, with a small bag.', 'shoes']


@pytest.fixture
def backbone() -> TextAwareCLIP:
    torch.manual_seed(0)
    return TextAwareCLIP('cmdg-test-tiny').eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 48, 24, generator=torch.Generator().manual_seed(1))


def test_sizes_are_told(backbone: TextAwareCLIP) -> None:
    assert (backbone.width, backbone.embed_dim, backbone.text_width, backbone.context_length) == (32, 24, 16, 20)
    assert (backbone.image_size, backbone.grid_size, backbone.out_channels) == ((48, 24), (6, 3), 56)


def test_last_block_token_is_what_enters_the_last_block(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    seen = []
    block = backbone.clip.visual.transformer.resblocks[-1]
    handle = block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    features = backbone.encode_image(images)
    handle.remove()
    assert torch.equal(features.last_block_token, seen[0][:, 0])


def test_global_region_equals_open_clips_image_feature(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    features = backbone.encode_image(images)
    expected = backbone.norm_shared(backbone.clip.encode_image(images))
    torch.testing.assert_close(features.shared_regions[3], expected, atol=1e-5, rtol=0)


def test_stripes_equal_a_loop_over_normed_and_projected_patches(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    """Projecting each patch and averaging is the same as averaging and projecting."""
    visual = backbone.clip.visual
    hidden = visual.transformer(visual._embeds(images))
    normed = visual.ln_post(hidden)[:, 1:]
    features = backbone.encode_image(images)
    for part, rows in enumerate([(0, 1), (2, 3), (4, 5)]):
        members = [row * 3 + column for row in rows for column in range(3)]
        mean = sum(normed[:, i] for i in members) / 6
        mean_projection = sum(normed[:, i] @ visual.proj for i in members) / 6
        torch.testing.assert_close(features.width_regions[part], backbone.norm_width(mean), atol=1e-5, rtol=0)
        expected = backbone.norm_shared(mean_projection)
        torch.testing.assert_close(features.shared_regions[part], expected, atol=1e-5, rtol=0)


def test_all_regions_share_the_two_norms(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    with torch.no_grad():
        backbone.norm_width.bias.fill_(5.0)
        backbone.norm_shared.bias.fill_(-5.0)
    features = backbone.encode_image(images)
    torch.testing.assert_close(features.width_regions.mean(-1), torch.full((4, 3), 5.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.shared_regions.mean(-1), torch.full((4, 3), -5.0), atol=1e-4, rtol=0)


def test_forward_is_the_global_feature_in_both_widths(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    (feature,) = backbone(images)
    regions = backbone.encode_image(images)
    assert torch.equal(feature, torch.cat([regions.width_regions[3], regions.shared_regions[3]], dim=1))


def test_images_that_do_not_fit_are_refused(backbone: TextAwareCLIP) -> None:
    with pytest.raises(TypeError, match=r'floats, got torch\.uint8'):
        backbone.encode_image(torch.zeros(1, 3, 48, 24, dtype=torch.uint8))
    for shape in [(1, 3, 24, 48), (1, 1, 48, 24), (3, 48, 24)]:
        with pytest.raises(ValueError, match=r'\(B, 3, 48, 24\), got \(' + str(shape[0])):
            backbone.encode_image(torch.zeros(shape))


@pytest.mark.parametrize('name', ['cmdg-test-tiny', 'cmdg-test-custom', 'cmdg-test-77'])
def test_cut_texts_give_open_clips_full_length_features(name: str) -> None:
    torch.manual_seed(0)
    backbone = TextAwareCLIP(name).eval()
    tokens, truncated = backbone.tokenize(SENTENCES)
    full = open_clip.get_tokenizer(name)(SENTENCES)
    assert truncated == 0
    assert tokens.shape == (3, 14)
    assert torch.equal(tokens, full[:, :14])
    expected = backbone.clip.encode_text(full)
    for given in (tokens, full, tokens.int()):
        torch.testing.assert_close(backbone.encode_text(given), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(backbone.encode_text(tokens[:1, :4]), expected[:1], atol=1e-5, rtol=0)


def test_long_texts_are_cut_and_counted(backbone: TextAwareCLIP) -> None:
    exact, longer = ' '.join(['red'] * 18), ' '.join(['red'] * 19)
    tokens, truncated = backbone.tokenize([exact, longer, 'red', longer + ' coat'])
    assert truncated == 2
    assert tokens.shape == (4, 20)
    assert tokens[:, -1].tolist() == [49407, 49407, 0, 49407]
    assert backbone.tokenize([exact])[1] == 0


def test_texts_and_tokens_that_are_none_are_refused(backbone: TextAwareCLIP) -> None:
    for wrong in ('one string', [1, 2], [None]):
        with pytest.raises(TypeError, match='sequence of sentences'):
            backbone.tokenize(wrong)
    with pytest.raises(ValueError, match='at least one'):
        backbone.tokenize([])
    with pytest.raises(TypeError, match=r'got torch\.float32'):
        backbone.encode_text(torch.zeros(1, 20))
    for shape in [(20,), (1, 21), (1, 0)]:
        with pytest.raises(ValueError, match='L from 1 to 20'):
            backbone.encode_text(torch.zeros(shape, dtype=torch.long))


def test_tokenizer_that_knows_too_many_tokens_is_refused() -> None:
    backbone = TextAwareCLIP('cmdg-test-small-vocabulary')
    with pytest.raises(ValueError, match='49408 tokens, its text tower 300'):
        backbone.tokenize(['a'])


def test_prompts_equal_the_full_length_tower_with_replaced_embeddings(backbone: TextAwareCLIP) -> None:
    context = torch.randn(5, 4, 16) * 0.02
    tokens = open_clip.get_tokenizer('cmdg-test-tiny')(['A photo of a X X X X person.'])
    clip = backbone.clip
    hidden = clip.token_embedding(tokens).repeat(5, 1, 1)
    hidden[:, 5:9] = context
    hidden = clip.transformer(hidden + clip.positional_embedding, attn_mask=clip.attn_mask)
    expected = clip.ln_final(hidden)[:, tokens.argmax()] @ clip.text_projection
    for chunk_size in (512, 2):
        prompts = backbone.encode_prompts(context, chunk_size=chunk_size)
        torch.testing.assert_close(prompts, expected, atol=1e-5, rtol=0)


def test_prompts_of_placeholder_embeddings_equal_the_sentence(backbone: TextAwareCLIP) -> None:
    """Filling the gap with the placeholder's own embedding gives the plain sentence, for any template."""
    word = backbone.clip.token_embedding.weight[backbone.tokenize(['X'])[0][0, 1]]
    for template, count in [('A photo of a {} person.', 4), ('{} walks', 1), ('seen: {}', 3)]:
        sentence = template.replace('{}', ' '.join(['X'] * count))
        expected = backbone.encode_text(backbone.tokenize([sentence])[0])
        prompts = backbone.encode_prompts(word.expand(2, count, -1), template)
        torch.testing.assert_close(prompts, expected.expand(2, -1), atol=1e-5, rtol=0)
    two = (word.expand(3, 2, -1), word.expand(3, 1, -1))
    expected = backbone.encode_text(backbone.tokenize(['the X X person from X place'])[0]).expand(3, -1)
    for chunk_size in (512, 2):
        prompts = backbone.encode_prompts(two, 'the {} person from {} place', chunk_size)
        torch.testing.assert_close(prompts, expected, atol=1e-5, rtol=0)


def test_gradients_reach_the_context_through_the_frozen_tower(backbone: TextAwareCLIP) -> None:
    context = torch.randn(3, 4, 16, requires_grad=True)
    backbone.encode_prompts(context).square().sum().backward()
    assert (context.grad.abs().sum(dim=(1, 2)) > 0).all()
    assert all(parameter.grad is None for parameter in backbone.parameters())


@pytest.mark.parametrize(
    ('template', 'problem'),
    [
        ('A photo.', 'exactly one {}'),
        ('{} and {}', 'exactly one {}'),
        ('a{}b', 'between spaces'),
        ('w ' * 20 + '{}', 'tokens, but'),
    ],
)
def test_templates_without_a_clear_gap_are_refused(backbone: TextAwareCLIP, template: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        backbone.encode_prompts(torch.zeros(1, 2, 16), template)


def test_prompts_that_do_not_fit_are_refused(backbone: TextAwareCLIP) -> None:
    for shape in [(4, 16), (2, 4, 15), (0, 4, 16)]:
        with pytest.raises(ValueError, match=r'\(C, n, 16\)'):
            backbone.encode_prompts(torch.zeros(shape))
    with pytest.raises(ValueError, match=r'the same in every gap; got \(3, 1, 16\), \(2, 1, 16\)'):
        backbone.encode_prompts((torch.zeros(3, 1, 16), torch.zeros(2, 1, 16)), '{} from {}')
    with pytest.raises(ValueError, match='at least one context vector'):
        backbone.encode_prompts(torch.zeros(1, 0, 16))
    with pytest.raises(ValueError, match=r'22 tokens.*takes 20'):
        backbone.encode_prompts(torch.zeros(1, 14, 16))


def _trained(backbone: TextAwareCLIP) -> set:
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize('name', ['cmdg-test-tiny', 'cmdg-test-custom'])
def test_frozen_text_tower(name: str, images: torch.Tensor) -> None:
    backbone = TextAwareCLIP(name).train()
    assert _trained(backbone) == {
        n for n, _ in backbone.named_parameters() if n.startswith(('clip.visual.', 'norm_width.', 'norm_shared.'))
    }
    assert backbone.clip.visual.training
    text = backbone.clip.text if name == 'cmdg-test-custom' else backbone.clip
    assert not any(module.training for module in text.transformer.modules())
    assert not backbone.encode_text(backbone.tokenize(SENTENCES)[0]).requires_grad
    features = backbone.encode_image(images)
    sum(part.square().sum() for part in features).backward()
    missing = {n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None}
    assert missing == set()
    backbone.set_trainable(False)
    assert _trained(backbone) == set()
    backbone.set_trainable(True)
    assert 'clip.visual.proj' in _trained(backbone)


def test_frozen_texts_keep_no_gradient_even_when_all_is_unfrozen_from_outside(backbone: TextAwareCLIP) -> None:
    backbone.requires_grad_(True)
    assert not backbone.encode_text(backbone.tokenize(SENTENCES)[0]).requires_grad


def test_last_text_blocks_train_where_asked() -> None:
    backbone = TextAwareCLIP('cmdg-test-tiny', text_finetune_layers=2).train()
    text = {name for name in _trained(backbone) if not name.startswith(('clip.visual', 'norm_'))}
    assert {name.split('.')[1] for name in text} == {'transformer', 'ln_final', 'text_projection'}
    assert {name.split('.')[3] for name in text if 'resblocks' in name} == {'1', '2'}
    assert backbone.clip.transformer.resblocks[2].training
    backbone.encode_text(backbone.tokenize(SENTENCES)[0]).square().sum().backward()
    with_grad = {name for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    assert with_grad == text
    with pytest.raises(ValueError, match='0 to 3 for this model, got 4'):
        TextAwareCLIP('cmdg-test-tiny', text_finetune_layers=4)


def test_grad_checkpointing_changes_nothing_but_memory(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    saving = TextAwareCLIP('cmdg-test-tiny', grad_checkpointing=True)
    saving.load_state_dict(backbone.state_dict())
    assert saving.clip.visual.transformer.grad_checkpointing
    for model in (backbone, saving):
        model.train().encode_image(images).shared_regions.square().mean().backward()
    for one, other in zip(backbone.parameters(), saving.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-5)


def test_half_precision_autocast_returns_full_precision_features(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    with torch.autocast('cpu', torch.bfloat16):
        features = backbone.encode_image(images)
    assert {part.dtype for part in features} == {torch.float32}
    torch.testing.assert_close(features.shared_regions, backbone.encode_image(images).shared_regions, atol=0.1, rtol=0)


def test_pretrained_weights_survive_mmengines_initialization(backbone: TextAwareCLIP, tmp_path: Path) -> None:
    save_file(backbone.clip.state_dict(), tmp_path / 'clip.safetensors')

    class Model(BaseModule):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'clip.safetensors'))

    model = Model()
    model.init_weights()
    for name, value in model.backbone.clip.state_dict().items():
        assert torch.equal(value, backbone.clip.state_dict()[name]), name


def test_works_inside_an_mmpretrain_classifier(images: torch.Tensor) -> None:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = ROOT_MODELS.build(
            {
                'type': 'ImageClassifier',
                'backbone': {'type': 'cmdg_plugin.TextAwareCLIP', 'model_name': 'cmdg-test-tiny'},
                'head': {'type': 'LinearClsHead', 'num_classes': 7, 'in_channels': 56},
            }
        )
    assert model(images).shape == (3, 7)


def test_can_be_copied_and_moved_after_use(backbone: TextAwareCLIP, images: torch.Tensor) -> None:
    backbone.tokenize(SENTENCES)
    backbone.encode_prompts(torch.zeros(1, 4, 16))
    other = copy.deepcopy(backbone).double()
    assert other.encode_image(images.double()).shared_regions.dtype == torch.float64
    assert other.encode_prompts(torch.zeros(1, 4, 16)).shape == (1, 24)


def test_official_vit_at_a_non_square_size() -> None:
    backbone = TextAwareCLIP('ViT-B-16', image_size=(256, 128)).eval()
    with torch.no_grad():
        features = backbone.encode_image(torch.randn(1, 3, 256, 128))
    assert [tuple(part.shape) for part in features] == [(1, 768), (4, 1, 768), (4, 1, 512)]


@pytest.mark.parametrize('checkpointing', [False, True])
def test_compiled_blocks_compute_and_save_the_same(
    backbone: TextAwareCLIP, images: torch.Tensor, checkpointing: bool
) -> None:
    torch.compiler.reset()
    # A backend of our own counts compilations and needs no C++ compiler.
    graphs = []

    def backend(graph: torch.fx.GraphModule, example_inputs: list) -> Callable:
        graphs.append(graph)
        return graph.forward

    compiled = TextAwareCLIP('cmdg-test-tiny', grad_checkpointing=checkpointing, compile={'backend': backend})
    assert list(compiled.state_dict()) == list(backbone.state_dict())
    compiled.load_state_dict(backbone.state_dict())
    for model in (backbone.train(), compiled.train()):
        model.encode_image(images).shared_regions.square().sum().backward()
    assert len(graphs) == 1, 'three blocks, one compilation'
    for (name, expected), parameter in zip(backbone.named_parameters(), compiled.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad, msg=f'{name}: {{}}'.format)
    # A copy has weights of its own.
    twin = copy.deepcopy(compiled).eval()
    with torch.no_grad():
        twin.clip.visual.conv1.weight.zero_()
        again = compiled.eval().encode_image(images).shared_regions
        torch.testing.assert_close(again, backbone.eval().encode_image(images).shared_regions)
    assert not torch.allclose(twin.encode_image(images).shared_regions, again)


def test_a_compiled_text_tower_gives_the_same_prompts_and_gradients(backbone: TextAwareCLIP) -> None:
    torch.compiler.reset()
    compiled = TextAwareCLIP('cmdg-test-tiny', compile_text={'backend': 'aot_eager'})
    assert list(compiled.state_dict()) == list(backbone.state_dict())
    compiled.load_state_dict(backbone.state_dict())
    results = []
    for model in (backbone.train(), compiled.train()):
        torch.manual_seed(0)
        context = torch.randn(3, 4, model.text_width, requires_grad=True)
        features = model.encode_prompts(context)
        features.square().sum().backward()
        results.append((features.detach(), context.grad))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_graphs_of_the_text_tower_train_the_same_prompts(backbone: TextAwareCLIP) -> None:
    """Several steps, as a graph is recorded in the second and replayed from the third on, over the same memory."""
    torch.compiler.reset()
    replayed = TextAwareCLIP('cmdg-test-tiny', compile_text={'mode': 'reduce-overhead'})
    replayed.load_state_dict(backbone.state_dict())
    trained = []
    for model in (backbone.cuda().train(), replayed.cuda().train()):
        torch.manual_seed(0)
        context = torch.randn(5, 4, model.text_width, device='cuda').requires_grad_()
        optimizer = torch.optim.Adam([context], lr=1e-2, fused=True)
        losses = []
        for step in range(6):
            features = model.encode_prompts(context[torch.arange(3, device='cuda') + step % 3])
            loss = features.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach().clone())
        trained.append((torch.stack(losses), context.detach()))
    torch.testing.assert_close(trained[1], trained[0], rtol=1e-4, atol=1e-5)


def test_options_reach_the_compiler(images: torch.Tensor) -> None:
    torch.compiler.reset()
    compiled = TextAwareCLIP('cmdg-test-tiny', compile={'backend': 'aot_eager', 'fullgraph': True})
    compiled.encode_image(images).width_regions.sum().backward()
    assert compiled.clip.visual.conv1.weight.grad is not None
