import copy

import pytest
import torch
from helpers.stage_batches import (
    DOMAINS,
    FULL,
    IDENTITIES,
    IMAGE_SIDE,
    TEXT_SIDE,
    Given,
    batch,
    bound_model,
    captioned_batch,
    losses_of,
    prepare_bridging,
    start_text_bridging,
)
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from cmdg_plugin.models import CMDGReID


def test_bridging_loss_equals_the_terms_written_out(model: CMDGReID) -> None:
    """The released sum 2.5 (1.5 sid + tri) + 1.5 cap + 0.8 prompt + 0.8 part + mmd, with every term by its function."""
    from cmdg_plugin.models import losses as fn

    rows = [0, 1, 3, 4, 6, 7]
    prepare_bridging(model)
    bank = copy.deepcopy(model.memory)
    total, _ = model.parse_losses(losses_of(model, rows))

    features = model.backbone.encode_image(model.data_preprocessor(batch(rows))['inputs'])
    regions, labels, index = features.shared_regions, torch.tensor(IDENTITIES)[rows], torch.tensor(rows)
    captions = torch.cat(
        [model.memory.text[index], model.stages['bridging'].caption_global[index][:, None]], dim=1
    ).transpose(0, 1)
    bank.update(index, regions[:3], captions[:3])
    part, neighbors = fn.part_neighbor_loss(regions[:3], bank.image, index, num_neighbors=10, scale=0.02)
    logits = model.head.classifier_width(model.head.neck_width(features.width_regions[3]))
    neighbor_labels = torch.tensor(IDENTITIES)[neighbors].transpose(0, 1).flatten(1)
    expected = (
        2.5
        * (
            1.5 * fn.soft_identity_loss(logits, labels, neighbor_labels)
            + fn.batch_hard_triplet_loss(regions[3], labels)
        )
        + 1.5 * fn.caption_contrastive_loss(regions, captions)
        + 0.8 * torch.nn.functional.cross_entropy(regions[3] @ model.stages['bridging'].prompt_features.T, labels)
        + 0.8 * part
        + fn.distribution_alignment_loss(regions[3], captions[3])
    )
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(model.memory.image, bank.image)


def test_captions_are_encoded_in_the_step_where_the_text_tower_trains(text_model: CMDGReID) -> None:
    rows = [0, 1, 3, 4, 6, 7]
    start_text_bridging(text_model, [*IMAGE_SIDE, *TEXT_SIDE])
    before = text_model.memory.text.clone()
    data = captioned_batch(rows)
    losses = text_model(**text_model.data_preprocessor(data), mode='loss')
    losses['loss_caption'].backward()
    blocks = text_model.backbone.clip.transformer.resblocks
    assert blocks[-1].mlp.c_fc.weight.grad.abs().sum() > 0
    assert blocks[0].mlp.c_fc.weight.grad is None
    # The bank follows the tower: an old entry and the new features, by the bank's momentum.
    by_hand, _ = text_model.encode_sentences(data['data_samples'][2].captions[:3])
    expected = 0.7 * before[3] + 0.3 * by_hand.detach()
    torch.testing.assert_close(text_model.memory.text[3], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(text_model.memory.text[2], before[2])


def test_an_image_without_captions_has_none_where_the_text_tower_trains(text_model: CMDGReID) -> None:
    start_text_bridging(text_model, [*IMAGE_SIDE, *TEXT_SIDE])
    data = captioned_batch([0, 1, 3, 4])
    before = text_model.memory.text.clone()
    data['data_samples'][2].captions = [''] * 4
    text_model(**text_model.data_preprocessor(data), mode='loss')['loss_caption'].backward()
    torch.testing.assert_close(text_model.memory.text[3], 0.7 * before[3])
    assert text_model.backbone.clip.text_projection.grad.isfinite().all()


def test_captions_of_a_training_tower_come_from_the_checkpoint(text_model: CMDGReID) -> None:
    start_text_bridging(text_model, [*IMAGE_SIDE, *TEXT_SIDE])
    text_model(**text_model.data_preprocessor(captioned_batch([0, 1, 3, 4])), mode='loss')
    state = {name: value.clone() for name, value in text_model.state_dict().items()}
    assert 'memory.text' in state
    text_model.load_stage_state({})
    start_text_bridging(text_model, [*IMAGE_SIDE, *TEXT_SIDE], resumed=True)
    assert torch.equal(text_model.memory.text, state['memory.text'])


def test_a_batch_of_broken_captions_leaves_the_bank_alone(text_model: CMDGReID) -> None:
    text_model.guard.policy = 'skip'
    start_text_bridging(text_model, [*IMAGE_SIDE, *TEXT_SIDE])
    before = text_model.memory.text.clone()
    wrapper = OptimWrapper(torch.optim.SGD([p for p in text_model.parameters() if p.requires_grad], lr=0.1))
    projection = text_model.backbone.clip.text_projection
    good = projection.detach().clone()
    with torch.no_grad():
        projection.fill_(float('nan'))
    text_model.train_step(captioned_batch([0, 1, 3, 4]), wrapper)
    assert text_model.guard.num_skipped == 1
    assert torch.equal(text_model.memory.text, before)
    with torch.no_grad():
        projection.copy_(good)


def test_text_layers_that_no_stage_trains_are_refused(text_model: CMDGReID) -> None:
    text_model.start_stage('warmup', IMAGE_SIDE)
    with pytest.raises(ValueError, match='text_finetune_layers is 1, but this stage trains nothing of the text tower'):
        text_model.check_stage('bridging', IMAGE_SIDE)
    start_text_bridging(text_model, [*IMAGE_SIDE, *TEXT_SIDE])
    with pytest.raises(ValueError, match="add 'captions' to PackInputs' algorithm_keys"):
        losses_of(text_model, [0, 1, 3, 4])


def test_text_guided_bridging_pulls_towards_other_domains_from_its_epoch_on(tiny_config: Config) -> None:
    config = copy.deepcopy(tiny_config.model)
    config.losses.bridging = Config.fromfile(FULL).model.losses.bridging
    for term in config.losses.bridging:
        if 'num_neighbors' in term:
            term['num_neighbors'] = 3
    single = bound_model(config)
    single.check_stage('warmup', IMAGE_SIDE)
    with pytest.raises(ValueError, match='train on two or more sources'):
        single.check_stage('bridging', IMAGE_SIDE)
    model = bound_model(config, DOMAINS)
    prepare_bridging(model)
    before = losses_of(model, [0, 7, 14])
    assert not any(name.startswith('neighbors/text') for name in before)
    model.start_epoch(1)
    after = losses_of(model, [0, 7, 14])
    assert float(after['neighbors/text_same_identity']) == 0
    assert float(after['neighbors/text_cross_domain']) == 1
    _, log = model.parse_losses(after)
    total = sum(value.detach() for name, value in after.items() if name.startswith('loss_'))
    assert float(log['loss'].detach()) == pytest.approx(float(total))


def test_recipe_full_hands_what_captions_find_to_both_losses(tiny_config: Config) -> None:
    """Recipe `full` as its config wires it, against a loop over the captions in the bank."""
    from cmdg_plugin.models import losses as fn

    tiny_config.model.losses.bridging = Config.fromfile(FULL).model.losses.bridging
    for term in tiny_config.model.losses.bridging:
        if 'num_neighbors' in term:
            term['num_neighbors'] = 3
    model = bound_model(tiny_config.model, DOMAINS)
    prepare_bridging(model)
    model.start_epoch(1)
    rows, labels = [0, 7, 14], torch.tensor(IDENTITIES)
    losses = losses_of(model, rows)
    text, index = model.memory.text, torch.tensor(rows)
    nearest = []
    for row in rows:
        others = [n for n in range(len(DOMAINS)) if DOMAINS[n] != DOMAINS[row]]
        nearest.append(sorted(others, key=lambda n: -torch.cosine_similarity(text[row], text[n], dim=-1).mean())[:3])
    found = torch.tensor(nearest)
    features = model.backbone.encode_image(model.data_preprocessor(batch(rows))['inputs'])
    part, neighbors = fn.part_neighbor_loss(
        features.shared_regions[:3], model.memory.image, index, num_neighbors=3, text_neighbors=found, text_weight=0.5
    )
    visual = labels[neighbors].transpose(0, 1).flatten(1)
    logits = model.head.classifier_width(model.head.neck_width(features.width_regions[3]))
    identity = fn.soft_identity_loss(logits, labels[index], visual, text_labels=labels[found], text_ratio=0.2)
    torch.testing.assert_close(losses['loss_part'], 0.8 * part)
    torch.testing.assert_close(losses['loss_soft_identity'], 3.75 * identity)
    shares = fn.describe_neighbors(
        neighbors, labels[index], torch.tensor(DOMAINS)[index], labels, torch.tensor(DOMAINS), found
    )
    for name, share in shares.items():
        torch.testing.assert_close(losses[f'neighbors/{name}'], share)


def test_terms_without_bank_and_captions_leave_both_alone(tiny_config: Config) -> None:
    kept = [term for term in tiny_config.model.losses.bridging if term.name in ('triplet', 'prompt')]
    tiny_config.model.losses.bridging = kept
    model = bound_model(tiny_config.model)
    model.start_stage('bridging', IMAGE_SIDE)
    model.prepare_stage(Given())
    assert model.stages['bridging'].caption_global is None
    assert set(losses_of(model, [0, 1, 3, 4])) == {'loss_triplet', 'loss_prompt'}
    assert model.memory is None


def test_terms_with_captions_alone_leave_the_bank_alone(tiny_config: Config) -> None:
    kept = [term for term in tiny_config.model.losses.bridging if term.name in ('caption', 'alignment')]
    tiny_config.model.losses.bridging = kept
    model = bound_model(tiny_config.model)
    model.start_stage('bridging', IMAGE_SIDE)
    model.prepare_stage(Given())
    assert set(losses_of(model, [0, 1, 3, 4])) == {'loss_caption', 'loss_alignment'}
    assert not model.memory.filled.any()


def test_a_bridging_step_runs_the_image_tower_once_and_no_text_tower(model: CMDGReID) -> None:
    prepare_bridging(model)
    passes = {'image': 0, 'text': 0}
    towers = {'image': model.backbone.clip.visual.transformer, 'text': model.backbone.clip.transformer}
    for name, tower in towers.items():
        tower.resblocks[0].register_forward_hook(lambda *_, n=name: passes.update({n: passes[n] + 1}))
    losses_of(model, [0, 1, 3, 4, 6, 7])
    assert passes == {'image': 1, 'text': 0}
    model.encode_sentences(['a person'])
    assert passes == {'image': 1, 'text': 1}
