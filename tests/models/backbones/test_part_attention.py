import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cmdg_plugin.models.backbones import TextAwareCLIP
from cmdg_plugin.models.backbones.part_attention import SplitAttention, part_attention_mask


def build(name: str = 'cmdg-test-tiny', seed: int = 0, **options: Any) -> TextAwareCLIP:
    torch.manual_seed(seed)
    return TextAwareCLIP(name, **options)


def twins(name: str = 'cmdg-test-tiny', **options: Any) -> tuple[TextAwareCLIP, TextAwareCLIP]:
    """A plain backbone and one with part attention, of the same weights."""
    plain, parts = build(name, **options), build(name, seed=1, part_attention=True, **options)
    found = parts.load_state_dict(plain.state_dict(), strict=False)
    assert found.missing_keys == ['clip.visual.part_tokens.offsets']
    assert found.unexpected_keys == []
    return plain, parts


def pictures(backbone: TextAwareCLIP, count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, *backbone.image_size, generator=torch.Generator().manual_seed(1))


def test_mask_written_by_hand() -> None:
    """Four rows of two patches: stripes of one, one and two rows."""
    seen = (part_attention_mask((4, 2)) == 0).int().tolist()
    assert seen[:9] == [[1] * 9 + [0] * 3] * 9, 'the class token and the patches see each other alone'
    # Class token, two patches a row, part tokens.
    assert seen[9:] == [
        [1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1],
    ]
    assert set(part_attention_mask((4, 2)).unique().tolist()) == {0, float('-inf')}
    with pytest.raises(ValueError, match='at least 3 rows'):
        part_attention_mask((2, 5))


def naive_block(block: Any, tokens: Tensor, seen: Any) -> Tensor:
    """A block of CLIP's ViT as a loop over heads and tokens that see what `seen`, a list of rows, says."""
    _, length, width = tokens.shape
    attention = block.attn
    heads = attention.num_heads
    query, key, value = (block.ln_1(tokens) @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, dim=-1)
    updates = torch.zeros_like(tokens)
    for head in range(heads):
        own = slice(head * width // heads, (head + 1) * width // heads)
        for one in range(length):
            others = [other for other in range(length) if seen[one][other]]
            scores = torch.einsum('bc,bkc->bk', query[:, one, own], key[:, others, own]) / (width // heads) ** 0.5
            updates[:, one, own] = torch.einsum('bk,bkc->bc', scores.softmax(-1), value[:, others, own])
    tokens = tokens + attention.out_proj(updates)
    return tokens + block.mlp(block.ln_2(tokens))


@torch.no_grad()
def test_regions_equal_a_loop_over_tokens() -> None:
    backbone = build(part_attention=True).eval()
    visual = backbone.clip.visual
    visual.part_tokens.offsets.normal_(std=0.3)
    images = pictures(backbone)
    patches = visual.conv1(images).flatten(2).transpose(1, 2) + visual.positional_embedding[1:]
    first = (visual.class_embedding + visual.positional_embedding[0]).expand(3, 1, -1)
    parts = [first + visual.part_tokens.offsets[part] for part in range(3)]
    tokens = visual.ln_pre(torch.cat([first, patches, *parts], dim=1))
    stripe = [row // 2 for row in range(6) for _ in range(3)]
    seen = [[True] * 19 + [False] * 3 for _ in range(19)]
    for part in range(3):
        seen.append([True] + [place == part for place in stripe] + [other == part for other in range(3)])
    for block in visual.transformer.resblocks:
        entering = tokens[:, 0]
        tokens = naive_block(block, tokens, seen)
    regions = visual.ln_post(tokens[:, [19, 20, 21, 0]]).transpose(0, 1)
    features = backbone.encode_image(images)
    torch.testing.assert_close(features.last_block_token, entering, atol=1e-5, rtol=0)
    torch.testing.assert_close(features.width_regions, backbone.norm_width(regions), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.shared_regions, backbone.norm_shared(regions @ visual.proj), atol=1e-5, rtol=0)


def test_split_attention_equals_attention_under_the_whole_mask() -> None:
    plain = nn.MultiheadAttention(32, 4, batch_first=True)
    nn.init.normal_(plain.in_proj_bias)
    split = SplitAttention.of(plain)
    assert list(split.state_dict()) == list(plain.state_dict())
    mask = part_attention_mask((5, 4))
    results = []
    for attention in (plain, split):
        tokens = torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(2)).requires_grad_()
        update, weights = attention(tokens, tokens, tokens, need_weights=False, attn_mask=mask)
        assert weights is None
        gradients = torch.autograd.grad(update.square().sum(), [tokens, *attention.parameters()])
        results.append((update, *gradients))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-5)
    tokens = torch.randn(2, 21, 32)
    unmasked = split(tokens, tokens, tokens, need_weights=False)[0]
    torch.testing.assert_close(unmasked, plain(tokens, tokens, tokens)[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('cmdg-test-tiny', {}),
        ('cmdg-test-tiny', {'image_size': (80, 16)}),
        ('cmdg-test-tiny', {'grad_checkpointing': True}),
        ('cmdg-test-square', {}),
        ('cmdg-test-custom', {}),
        ('cmdg-test-qk-norm', {}),
        ('cmdg-toy-vit', {'pretrained': 'islands', 'image_size': (96, 48)}),
    ],
)
@pytest.mark.parametrize('training', [False, True])
def test_global_feature_is_the_plain_towers(name: str, options: dict, training: bool) -> None:
    plain, parts = twins(name, **options)
    with torch.no_grad():
        parts.clip.visual.part_tokens.offsets.normal_()
    images = pictures(plain)
    expected, found = (model.train(training).encode_image(images) for model in (plain, parts))
    torch.testing.assert_close(found.last_block_token, expected.last_block_token, atol=1e-5, rtol=0)
    for ours, theirs in (
        (found.width_regions, expected.width_regions),
        (found.shared_regions, expected.shared_regions),
    ):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours[3], theirs[3], atol=1e-5, rtol=0)
        assert not torch.allclose(ours[:3], theirs[:3], atol=0.1)
    # The tower without part tokens is still there for those who call open_clip's own methods.
    with torch.no_grad():
        whole = parts.norm_shared(parts.clip.encode_image(images))
    torch.testing.assert_close(whole, expected.shared_regions[3], atol=1e-5, rtol=0)


@pytest.mark.parametrize('name', ['cmdg-test-tiny', 'cmdg-test-qk-norm'])
def test_a_part_token_sees_its_own_stripe_alone(name: str) -> None:
    """Within one block; over several, patches of all stripes mix, as they always did."""
    visual = build(name, part_attention=True).eval().clip.visual
    block, mask = visual.transformer.resblocks[0], visual.part_tokens.mask
    tokens = torch.randn(1, 22, 32)
    before = block(tokens, attn_mask=mask)
    for stripe in range(3):
        changed = tokens.clone()
        changed[:, 1 + stripe * 6 : 1 + (stripe + 1) * 6] += 1 + torch.randn(6, 32)
        moved = (block(changed, attn_mask=mask) - before).abs().amax(dim=(0, 2))
        assert [bool(amount > 1e-3) for amount in moved[19:]] == [part == stripe for part in range(3)]
    changed = tokens.clone()
    changed[:, 20] += 1
    moved = (block(changed, attn_mask=mask) - before).abs().amax(dim=(0, 2))
    assert moved.nonzero().flatten().tolist() == [20], 'nobody sees another part token'


def test_parts_start_as_the_class_token_and_learn_to_differ() -> None:
    backbone = build(part_attention=True).train()
    visual = backbone.clip.visual
    embedded = visual._embeds(pictures(backbone))
    tokens = visual.part_tokens.append_to(embedded, visual)
    torch.testing.assert_close(tokens[:, 19:], embedded[:, :1].expand(-1, 3, -1))
    features = backbone.encode_image(pictures(backbone))
    features.shared_regions[:3].pow(4).sum().backward()
    slopes = visual.part_tokens.offsets.grad
    assert (slopes.abs().sum(-1) > 0).all()
    assert not torch.allclose(slopes[0], slopes[1])
    assert visual.class_embedding.grad.abs().sum() > 0
    for parameter in visual.parameters():
        assert parameter.grad is not None


def test_identical_stripes_give_identical_parts() -> None:
    backbone = build(part_attention=True).eval()
    visual = backbone.clip.visual
    with torch.no_grad():
        visual.positional_embedding[1:] = 0
    stripe = torch.randn(1, 3, 16, 24)
    parts = backbone.encode_image(stripe.repeat(1, 1, 3, 1)).shared_regions
    torch.testing.assert_close(parts[0], parts[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(parts[1], parts[2], atol=1e-5, rtol=0)


def test_autocast_checkpointing_compiling_and_copying() -> None:
    torch.compiler.reset()
    graphs = []

    def backend(graph: torch.fx.GraphModule, example_inputs: list) -> Callable:
        graphs.append(graph)
        return graph.forward

    one = build(part_attention=True).train()
    other = build(part_attention=True, grad_checkpointing=True, compile={'backend': backend}).train()
    assert list(one.state_dict()) == list(other.state_dict())
    other.load_state_dict(one.state_dict())
    for model in (one, other):
        model.encode_image(pictures(model)).shared_regions.square().sum().backward()
    assert len(graphs) == 1, 'three blocks, one compilation'
    for (name, expected), parameter in zip(one.named_parameters(), other.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad, msg=f'{name}: {{}}'.format)
    with torch.no_grad():
        exact = one.eval().encode_image(pictures(one)).shared_regions
        with torch.autocast('cpu', torch.bfloat16):
            halved = one.encode_image(pictures(one))
        assert {part.dtype for part in halved} == {torch.float32}
        torch.testing.assert_close(halved.shared_regions, exact, atol=0.1, rtol=0)
        twin = copy.deepcopy(one).double()
        torch.testing.assert_close(twin.encode_image(pictures(one).double()).shared_regions.float(), exact)
        twin.clip.visual.part_tokens.offsets.fill_(1)
        twin.clip.visual.conv1.weight.zero_()
        torch.testing.assert_close(one.encode_image(pictures(one)).shared_regions, exact, msg='copies share nothing')


def test_pretrained_weights_are_those_of_the_plain_tower(tmp_path: Path) -> None:
    plain = build()
    torch.save(plain.clip.state_dict(), tmp_path / 'clip.pt')
    parts = build(seed=1, part_attention=True, pretrained=str(tmp_path / 'clip.pt'))
    for name, value in plain.clip.state_dict().items():
        assert torch.equal(parts.clip.state_dict()[name], value), name
    assert not parts.clip.visual.part_tokens.offsets.any()
    # Another part tower takes over what was learned.
    with torch.no_grad():
        parts.clip.visual.part_tokens.offsets.normal_()
    again = build(seed=2, part_attention=True)
    again.load_state_dict(parts.state_dict())
    images = pictures(again)
    for one, two in zip(parts.eval().encode_image(images), again.eval().encode_image(images), strict=True):
        assert torch.equal(one, two)


def test_vit_base_has_three_tokens_more() -> None:
    backbone = TextAwareCLIP('ViT-B-32', image_size=(256, 128), part_attention=True).eval()
    assert backbone.clip.visual.part_tokens.mask.shape == (36, 36)
    with torch.no_grad():
        features = backbone.encode_image(pictures(backbone, 1))
    assert [tuple(part.shape) for part in features] == [(1, 768), (4, 1, 768), (4, 1, 512)]
