import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample

from cmdg_plugin.models import CMDGReID
from cmdg_plugin.registry import MODELS

IDENTITIES = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
IMAGE_SIDE = ['backbone.clip.visual', 'backbone.norm_width', 'backbone.norm_shared', 'head']


@pytest.fixture
def model(tiny_config: Config) -> CMDGReID:
    torch.manual_seed(0)
    built = MODELS.build(copy.deepcopy(tiny_config.model))
    built.bind_identities(IDENTITIES)
    return built


def batch(rows: list[int]) -> dict:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (len(rows), 3, 24, 16), dtype=torch.uint8, generator=generator)
    samples = []
    for row in rows:
        sample = DataSample().set_gt_label(IDENTITIES[row])
        sample.set_field(row, 'image_index')
        samples.append(sample)
    return {'inputs': images, 'data_samples': samples}


def losses_of(model: CMDGReID, rows: list[int]) -> dict[str, torch.Tensor]:
    return model(**model.data_preprocessor(batch(rows)), mode='loss')


def prepare_bridging(model: CMDGReID) -> None:
    generator = torch.Generator().manual_seed(2)
    model.start_stage('bridging', IMAGE_SIDE)
    model.remember_images(torch.randn(len(IDENTITIES), 4, 16, generator=generator))
    model.start_bridging(torch.randn(len(IDENTITIES), 4, 16, generator=generator))


def test_stages_train_what_they_name_and_never_what_is_always_frozen(model: CMDGReID):
    model.start_stage('warmup', ['backbone', 'head'])
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert 'backbone.clip.visual.proj' in trained
    assert 'head.classifier_width.weight' in trained
    assert 'head.neck_width.bias' not in trained
    assert not any('clip.transformer' in name or 'prompts' in name for name in trained)
    model.start_stage('prompt', ['prompts'])
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == ['prompts.context']


def test_trainable_names_match_whole_words(model: CMDGReID):
    with pytest.raises(ValueError, match="'hea', but no trainable"):
        model.start_stage('warmup', ['hea'])


def test_each_stage_reports_its_own_terms(model: CMDGReID):
    rows = [0, 1, 3, 4, 6, 7]
    model.start_stage('warmup', IMAGE_SIDE)
    assert set(losses_of(model, rows)) == {
        'loss_id_width',
        'loss_id_shared',
        'loss_triplet_token',
        'loss_triplet_width',
        'loss_triplet_shared',
    }
    prepare_bridging(model)
    assert set(losses_of(model, rows)) == {
        'loss_part',
        'loss_soft_identity',
        'loss_triplet',
        'loss_caption',
        'loss_prompt',
        'loss_alignment',
    }


def test_bridging_loss_equals_the_terms_written_out(model: CMDGReID):
    """The released sum 2.5 (1.5 sid + tri) + 1.5 cap + 0.8 prompt + 0.8 part + mmd, with every term by its function."""
    from cmdg_plugin.models import losses as fn

    rows = [0, 1, 3, 4, 6, 7]
    prepare_bridging(model)
    bank = copy.deepcopy(model.memory)
    total, _ = model.parse_losses(losses_of(model, rows))

    features = model.backbone.encode_image(model.data_preprocessor(batch(rows))['inputs'])
    regions, labels, index = features.shared_regions, torch.tensor(IDENTITIES)[rows], torch.tensor(rows)
    captions = torch.cat([model.memory.text[index], model.caption_global[index][:, None]], dim=1).transpose(0, 1)
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
        + 0.8 * torch.nn.functional.cross_entropy(regions[3] @ model.prompt_features.T, labels)
        + 0.8 * part
        + fn.distribution_alignment_loss(regions[3], captions[3])
    )
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(model.memory.image, bank.image)


def test_prompt_loss_reaches_only_the_prompts_of_the_batch(model: CMDGReID):
    model.remember_images(torch.randn(len(IDENTITIES), 4, 16, generator=torch.Generator().manual_seed(2)))
    model.start_stage('prompt', ['prompts'])
    losses = model(image_index=torch.tensor([0, 3, 4]), mode='loss')
    losses['loss_prompt'].backward()
    touched = model.prompts.context.grad.flatten(1).abs().sum(1) > 0
    assert touched.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ('stage', 'trainable', 'hook'),
    [('prompt', ['prompts'], 'PromptLearningHook'), ('bridging', IMAGE_SIDE, 'DomainBridgingHook')],
)
def test_a_stage_whose_hook_did_not_run_says_so(model: CMDGReID, stage: str, trainable: list[str], hook: str):
    model.start_stage(stage, trainable)
    with pytest.raises(RuntimeError, match=f'add {hook} to custom_hooks'):
        model(image_index=torch.tensor([0]), mode='loss') if stage == 'prompt' else losses_of(model, [0, 1, 3])


def test_retrieval_feature_joins_both_widths_and_has_length_one(model: CMDGReID):
    model.eval()
    inputs = model.data_preprocessor(batch([0, 3]))['inputs']
    features = model(inputs)
    regions = model.backbone.encode_image(inputs)
    joined = torch.cat([regions.width_regions[3], regions.shared_regions[3]], dim=1)
    assert torch.allclose(features, joined / joined.norm(dim=1, keepdim=True), atol=1e-6)
    predicted = model(inputs, batch([0, 3])['data_samples'], mode='predict')
    assert torch.equal(predicted[1].feature, features[1])


def test_features_need_no_identities_and_leave_those_of_a_checkpoint_aside(model: CMDGReID, tiny_config: Config):
    plain = MODELS.build(copy.deepcopy(tiny_config.model))
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert not unexpected
    inputs = model.data_preprocessor(batch([0, 3]))['inputs']
    assert torch.equal(plain.eval()(inputs), model.eval()(inputs))


def test_checkpoint_of_other_identities_is_refused_with_both_numbers(model: CMDGReID, tiny_config: Config):
    other = MODELS.build(copy.deepcopy(tiny_config.model))
    other.bind_identities([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r'5 identities .*this data has 2'):
        other.load_state_dict(model.state_dict())


def test_nan_batch_is_skipped_without_touching_weights_or_bank(tiny_config: Config):
    tiny_config.model.on_nonfinite = 'skip'
    model = MODELS.build(tiny_config.model)
    model.bind_identities(IDENTITIES)
    prepare_bridging(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    good = model.backbone.norm_shared.weight.detach().clone()
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    with torch.no_grad():
        model.backbone.norm_shared.weight.fill_(float('nan'))
    model.train_step(batch([0, 1, 3, 4, 6, 7]), wrapper)
    with torch.no_grad():
        model.backbone.norm_shared.weight.copy_(good)
    assert model.guard.num_skipped == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    # The next batch is a good one: it trains.
    model.train_step(batch([0, 1, 3, 4, 6, 7]), wrapper)
    assert not torch.equal(model.head.classifier_width.weight, before['head.classifier_width.weight'])


def test_weights_of_another_model_are_refused(model: CMDGReID, tiny_config: Config):
    plain = MODELS.build(copy.deepcopy(tiny_config.model))
    with pytest.raises(ValueError, match=r'belongs to another model: backbone\.\S+ is missing; .* more'):
        plain.load_state_dict({'foo.bar': torch.zeros(2)}, strict=False)
    state = model.state_dict()
    state['backbone.clip.visual.proj'] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=r'backbone\.clip\.visual\.proj is \(3, 3\), here \(32, 16\)'):
        plain.load_state_dict(state)


def test_features_are_forgotten_once_a_stage_has_changed_the_tower(model: CMDGReID):
    model.start_stage('prompt', ['prompts'])
    model.remember_images(torch.zeros(len(IDENTITIES), 4, 16))
    assert not model.changes_features
    model.start_stage('warmup', IMAGE_SIDE)
    assert model.image_regions is not None
    assert model.changes_features
    model.start_stage('bridging', IMAGE_SIDE)
    assert model.image_regions is None


@pytest.mark.parametrize('identities', [[0, 2], [1, 2], [], [[0, 1]]], ids=str)
def test_identities_with_gaps_are_refused(tiny_config: Config, identities: list):
    with pytest.raises(ValueError, match='numbered from 0 without gaps'):
        MODELS.build(tiny_config.model).bind_identities(identities)


def test_losses_of_an_unknown_stage_are_refused(tiny_config: Config):
    tiny_config.model.losses['warm_up'] = []
    with pytest.raises(ValueError, match=r"stages \['warm_up'\].*it runs \['bridging', 'prompt', 'warmup'\]"):
        MODELS.build(tiny_config.model)
