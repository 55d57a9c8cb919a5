import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample
from torch.utils._python_dispatch import TorchDispatchMode

from cmdg_plugin.checkpoints.publishing import strip_checkpoint
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.models.stages import prompt as prompt_stage
from cmdg_plugin.registry import MODELS

IDENTITIES = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
FULL = Path(__file__).parents[2] / 'configs/_base_/models/cmdg_full_shared.py'
IMAGE_SIDE = ['image', 'head']


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


@dataclass
class Given:
    """A preparation whose features are random, or given."""

    resumed: bool = False
    stages_done: tuple[str, ...] = ('prompt',)
    images: torch.Tensor | None = None
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(2))

    def image_features(self, rows: slice | None) -> torch.Tensor:
        return torch.randn(len(IDENTITIES), 4, 16, generator=self.generator) if self.images is None else self.images

    def caption_features(self, rows: slice | None) -> torch.Tensor:
        return torch.randn(len(IDENTITIES), 4, 16, generator=self.generator)


def prepare_bridging(model: CMDGReID) -> None:
    model.start_stage('bridging', IMAGE_SIDE)
    model.prepare_stage(Given())


def test_stages_train_what_they_name_and_never_what_is_always_frozen(model: CMDGReID) -> None:
    model.start_stage('warmup', ['backbone', 'head'])
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert 'backbone.clip.visual.proj' in trained
    assert 'head.classifier_width.weight' in trained
    assert 'head.neck_width.bias' not in trained
    assert not any('clip.transformer' in name or 'prompts' in name for name in trained)
    model.start_stage('prompt', ['prompts'])
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == ['prompts.context']


def test_trainable_names_match_whole_words(model: CMDGReID) -> None:
    with pytest.raises(ValueError, match="'hea', but no trainable"):
        model.start_stage('warmup', ['hea'])


def test_each_stage_reports_its_own_terms(model: CMDGReID) -> None:
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


def test_prompt_loss_reaches_only_the_prompts_of_the_batch(model: CMDGReID) -> None:
    model.start_stage('prompt', ['prompts'])
    model.prepare_stage(Given())
    losses = model(image_index=torch.tensor([0, 3, 4]), mode='loss')
    losses['loss_prompt'].backward()
    touched = model.prompts.context.grad.flatten(1).abs().sum(1) > 0
    assert touched.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ('stage', 'trainable', 'hook'),
    [('prompt', ['prompts'], 'PromptLearningHook'), ('bridging', IMAGE_SIDE, 'DomainBridgingHook')],
)
def test_a_stage_whose_hook_did_not_run_says_so(model: CMDGReID, stage: str, trainable: list[str], hook: str) -> None:
    model.start_stage(stage, trainable)
    with pytest.raises(RuntimeError, match=f'add {hook} to custom_hooks'):
        model(image_index=torch.tensor([0]), mode='loss') if stage == 'prompt' else losses_of(model, [0, 1, 3])


def test_retrieval_feature_joins_both_widths_and_has_length_one(model: CMDGReID) -> None:
    model.eval()
    inputs = model.data_preprocessor(batch([0, 3]))['inputs']
    features = model(inputs)
    regions = model.backbone.encode_image(inputs)
    joined = torch.cat([regions.width_regions[3], regions.shared_regions[3]], dim=1)
    assert torch.allclose(features, joined / joined.norm(dim=1, keepdim=True), atol=1e-6)
    predicted = model(inputs, batch([0, 3])['data_samples'], mode='predict')
    assert torch.equal(predicted[1].feature, features[1])


def test_flip_test_averages_before_it_normalizes(model: CMDGReID) -> None:
    model.eval()
    images = torch.randn(3, 3, 24, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        plain = model.extract_features(images)
        straight, mirrored = (model.backbone.encode_image(view) for view in (images, images[..., range(15, -1, -1)]))
        model.flip_test = True
        averaged, shared = model.extract_features(images), model.extract_shared_features(images)
        predicted = model(images, [DataSample() for _ in range(3)], mode='predict')
        of_mirrors = model.extract_features(images.flip(-1))
    width = (straight.width_regions[-1] + mirrored.width_regions[-1]) / 2
    expected_shared = (straight.shared_regions[-1] + mirrored.shared_regions[-1]) / 2
    expected = torch.cat([width, expected_shared], dim=1)
    assert torch.allclose(averaged, expected / expected.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(shared, expected_shared / expected_shared.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(of_mirrors, averaged, atol=1e-6)
    assert not torch.allclose(plain, averaged, atol=1e-3)
    assert all(torch.equal(sample.feature, feature) for sample, feature in zip(predicted, averaged, strict=True))


def test_flip_test_is_off_unless_the_config_says_so(tiny_config: Config) -> None:
    assert not MODELS.build(copy.deepcopy(tiny_config.model)).flip_test
    assert MODELS.build({**copy.deepcopy(tiny_config.model), 'flip_test': True}).flip_test


def test_nan_batch_is_skipped_without_touching_weights_or_bank(tiny_config: Config) -> None:
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


@MODELS.register_module()
class NotANumber(torch.nn.Module):
    """A loss that is NaN although all features are finite."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.sum() * float('nan')


def test_a_nan_loss_of_finite_features_leaves_bank_and_statistics_alone(tiny_config: Config) -> None:
    tiny_config.model.on_nonfinite = 'skip'
    tiny_config.model.losses.bridging.append(
        {'type': 'NotANumber', 'name': 'nan', 'inputs': {'features': 'global_width'}}
    )
    model = MODELS.build(tiny_config.model)
    model.bind_identities(IDENTITIES)
    prepare_bridging(model)
    before = {name: value.clone() for name, value in [*model.named_parameters(), *model.named_buffers()]}
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    model.train_step(batch([0, 1, 3, 4, 6, 7]), wrapper)
    assert model.guard.num_skipped == 1
    after = dict([*model.named_parameters(), *model.named_buffers()])
    assert [name for name, value in before.items() if not torch.equal(after[name], value)] == []


@pytest.fixture
def text_model(tiny_config: Config) -> CMDGReID:
    tiny_config.model.backbone.text_finetune_layers = 1
    torch.manual_seed(0)
    built = MODELS.build(copy.deepcopy(tiny_config.model))
    built.bind_identities(IDENTITIES)
    return built


TEXT_SIDE = ['backbone.clip.transformer', 'backbone.clip.ln_final', 'backbone.clip.text_projection']


def test_the_words_of_trainable_name_what_dotted_names_do(text_model: CMDGReID) -> None:
    dotted = ['backbone.clip.visual', 'backbone.norm_width', 'backbone.norm_shared', 'head', *TEXT_SIDE]
    trained = []
    for words in (dotted, ['image', 'head', 'text']):
        text_model.start_stage('warmup', words)
        trained.append({name for name, value in text_model.named_parameters() if value.requires_grad})
    assert trained[0] == trained[1]
    assert 'backbone.clip.text_projection' in trained[0]


def captioned_batch(rows: list[int]) -> dict:
    made = batch(rows)
    for row, sample in zip(rows, made['data_samples'], strict=True):
        sample.set_field([f'part {region} of person {IDENTITIES[row]}' for region in 'ABCD'], 'captions')
    return made


def start_text_bridging(model: CMDGReID, trainable: list[str], resumed: bool = False) -> None:
    model.start_stage('bridging', trainable)
    model.prepare_stage(Given(resumed))


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


def test_features_are_forgotten_once_a_stage_has_changed_the_tower(model: CMDGReID) -> None:
    model.start_stage('prompt', ['prompts'])
    model.prepare_stage(Given())
    assert not model.changes_features
    model.start_stage('warmup', IMAGE_SIDE)
    assert model.image_features is not None
    assert model.changes_features
    model.start_stage('bridging', IMAGE_SIDE)
    assert model.image_features is None


def test_losses_of_an_unknown_stage_are_refused(tiny_config: Config) -> None:
    tiny_config.model.losses['warm_up'] = []
    with pytest.raises(
        ValueError, match=r"stages \['warm_up'\], but there are \['warmup', 'prompt', 'bridging'\]: name"
    ):
        MODELS.build(tiny_config.model)


def test_fields_say_domain_and_epoch_of_every_sample(tiny_config: Config) -> None:
    model = MODELS.build(copy.deepcopy(tiny_config.model))
    model.bind_identities(IDENTITIES, [0] * 6 + [1] * 9)
    model.start_stage('warmup', IMAGE_SIDE)
    model.start_epoch(3)
    fields = model.stages['warmup'].compute(model, model.data_preprocessor(batch([1, 7, 14])))
    assert fields.domains.tolist() == [0, 1, 1]
    assert fields.image_index.tolist() == [1, 7, 14]
    assert fields.epoch == 3
    model.start_stage('prompt', ['prompts'])
    model.prepare_stage(Given())
    fields = model.stages['prompt'].compute(model, {'image_index': torch.tensor([9, 0])})
    assert fields.domains.tolist() == [1, 0]


@pytest.mark.parametrize('stage', ['warmup', 'prompt', 'bridging'])
def test_stages_give_the_fields_that_they_promise(model: CMDGReID, stage: str) -> None:
    model.start_stage(stage, ['prompts'] if stage == 'prompt' else IMAGE_SIDE)
    data = model.data_preprocessor(batch([0, 1, 3, 4]))
    if stage == 'bridging':
        prepare_bridging(model)
    if stage == 'prompt':
        model.prepare_stage(Given())
        data = {'image_index': torch.tensor([9, 0])}
    fields = vars(model.stages[stage].compute(model, data))
    assert set(model.stages[stage].provides(model)) == {name for name, value in fields.items() if value is not None}


def test_a_term_that_would_miss_a_field_or_data_is_refused_before_training(tiny_config: Config) -> None:
    for changes, message in (
        (dict(inputs={'bank': 'bnak'}), "'part' reads the field 'bnak', but there are only: labels"),
        (dict(inputs={'bank': 'domain_prompt_features'}), "reads the field 'domain_prompt_features'"),
        (dict(num_neighbors=15), 'num_neighbors is 15, but the bank holds only 14'),
    ):
        config = copy.deepcopy(tiny_config.model)
        next(term for term in config.losses.bridging if term['name'] == 'part').update(changes)
        model = MODELS.build(config)
        model.bind_identities(IDENTITIES)
        model.check_stage('warmup', IMAGE_SIDE)
        with pytest.raises(ValueError, match=message):
            model.check_stage('bridging', IMAGE_SIDE)


def test_samples_without_position_are_refused(model: CMDGReID) -> None:
    model.start_stage('warmup', IMAGE_SIDE)
    wrong = batch([0, 1])
    wrong['data_samples'][1] = DataSample().set_gt_label(0)
    with pytest.raises(ValueError, match="add 'image_index'"):
        model(**model.data_preprocessor(wrong), mode='loss')


def test_text_guided_bridging_pulls_towards_other_domains_from_its_epoch_on(tiny_config: Config) -> None:
    config = copy.deepcopy(tiny_config.model)
    config.losses.bridging = Config.fromfile(FULL).model.losses.bridging
    for term in config.losses.bridging:
        if 'num_neighbors' in term:
            term['num_neighbors'] = 3
    single = MODELS.build(copy.deepcopy(config))
    single.bind_identities(IDENTITIES)
    single.check_stage('warmup', IMAGE_SIDE)
    with pytest.raises(ValueError, match='train on two or more sources'):
        single.check_stage('bridging', IMAGE_SIDE)
    model = MODELS.build(config)
    model.bind_identities(IDENTITIES, [0] * 6 + [1] * 9)
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


DOMAINS = [0] * 6 + [1] * 9


def test_recipe_full_hands_what_captions_find_to_both_losses(tiny_config: Config) -> None:
    """Recipe `full` as its config wires it, against a loop over the captions in the bank."""
    from cmdg_plugin.models import losses as fn

    tiny_config.model.losses.bridging = Config.fromfile(FULL).model.losses.bridging
    for term in tiny_config.model.losses.bridging:
        if 'num_neighbors' in term:
            term['num_neighbors'] = 3
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(tiny_config.model))
    model.bind_identities(IDENTITIES, DOMAINS)
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


DOMAIN_TEMPLATE = 'A photo of a {} person from {} dataset.'
ADVERSARIAL = {'type': 'DomainAdversarialLoss', 'name': 'domain'}


@pytest.fixture
def domain_model(tiny_config: Config) -> CMDGReID:
    tiny_config.model.prompts.domain_template = DOMAIN_TEMPLATE
    term = {**ADVERSARIAL, 'inputs': {'features': 'prompt_texts', 'domains': 'domains'}}
    tiny_config.model.losses.prompt.append(term)
    torch.manual_seed(0)
    built = MODELS.build(copy.deepcopy(tiny_config.model))
    built.bind_identities(IDENTITIES, DOMAINS)
    return built


def test_prompts_are_encoded_with_the_domain_of_their_identity(domain_model: CMDGReID) -> None:
    domain_model.start_stage('prompt', ['prompts', 'losses.prompt'])
    domain_model.prepare_stage(Given())
    fields = domain_model.stages['prompt'].compute(domain_model, {'image_index': torch.tensor([14, 0, 7])})
    prompts, encode = domain_model.prompts, domain_model.backbone.encode_prompts
    people, places = prompts.context[[4, 0, 2]], prompts.domain_context[[1, 0, 1]]
    torch.testing.assert_close(fields.prompt_texts, encode(people))
    torch.testing.assert_close(fields.domain_prompt_texts, encode((people, places), DOMAIN_TEMPLATE))
    domain_model.start_stage('bridging', IMAGE_SIDE)
    domain_model.prepare_stage(Given())
    everyone = encode((prompts.context, prompts.domain_context[[0, 0, 1, 1, 1]]), DOMAIN_TEMPLATE)
    data = domain_model.data_preprocessor(batch([0, 1, 3]))
    fields = domain_model.stages['bridging'].compute(domain_model, data)
    torch.testing.assert_close(fields.domain_prompt_features, everyone)


def test_a_terms_parameters_are_sized_by_the_data_and_trained_by_name(domain_model: CMDGReID) -> None:
    classifier = domain_model.losses['prompt'].losses['loss_domain'].classifier
    assert (classifier[0].in_features, classifier[-1].out_features) == (16, 2)
    with pytest.raises(ValueError, match=r"add 'losses\.prompt' to the stage's `trainable`"):
        domain_model.start_stage('prompt', ['prompts'])
    domain_model.start_stage('prompt', ['prompts', 'losses.prompt'])
    assert all(parameter.requires_grad for parameter in classifier.parameters())
    domain_model.start_stage('warmup', IMAGE_SIDE)
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


def test_features_leave_the_parameters_of_terms_aside(domain_model: CMDGReID, tiny_config: Config) -> None:
    plain = MODELS.build(copy.deepcopy(tiny_config.model))
    for state in (domain_model.state_dict(), strip_checkpoint({'state_dict': domain_model.state_dict()})['state_dict']):
        missing, unexpected = plain.load_state_dict(state, strict=False)
        assert not missing
        assert not unexpected


def test_terms_without_bank_and_captions_leave_both_alone(tiny_config: Config) -> None:
    kept = [term for term in tiny_config.model.losses.bridging if term.name in ('triplet', 'prompt')]
    tiny_config.model.losses.bridging = kept
    model = MODELS.build(copy.deepcopy(tiny_config.model))
    model.bind_identities(IDENTITIES)
    model.start_stage('bridging', IMAGE_SIDE)
    model.prepare_stage(Given())
    assert model.stages['bridging'].caption_global is None
    assert set(losses_of(model, [0, 1, 3, 4])) == {'loss_triplet', 'loss_prompt'}
    assert model.memory is None


def test_terms_with_captions_alone_leave_the_bank_alone(tiny_config: Config) -> None:
    kept = [term for term in tiny_config.model.losses.bridging if term.name in ('caption', 'alignment')]
    tiny_config.model.losses.bridging = kept
    model = MODELS.build(copy.deepcopy(tiny_config.model))
    model.bind_identities(IDENTITIES)
    model.start_stage('bridging', IMAGE_SIDE)
    model.prepare_stage(Given())
    assert set(losses_of(model, [0, 1, 3, 4])) == {'loss_caption', 'loss_alignment'}
    assert not model.memory.filled.any()


class Reads(TorchDispatchMode):
    """Counts numbers that are read one by one, for each of which a step waits for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self.count += func.overloadpacket.__name__ == '_local_scalar_dense'
        return func(*args, **(kwargs or {}))


def test_all_losses_are_read_at_once_for_check_and_log(model: CMDGReID) -> None:
    model.start_stage('warmup', IMAGE_SIDE)
    losses = losses_of(model, [0, 1, 3, 4, 6, 7])
    with Reads() as reads:
        total, log = model.parse_losses(losses)
    assert reads.count == 1
    assert total.requires_grad
    assert list(log) == ['loss', *losses]
    assert all(value.device.type == 'cpu' and not value.requires_grad for value in log.values())
    assert [value.item() for value in log.values()] == [total.item(), *(value.item() for value in losses.values())]


def test_encoding_each_identity_once_or_every_time_is_the_same(
    model: CMDGReID, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.start_stage('prompt', ['prompts'])
    model.prepare_stage(Given())
    results = []
    for _ in range(2):
        model.zero_grad()
        loss = model(image_index=torch.tensor([0, 1, 3, 4, 12]), mode='loss')['loss_prompt']
        loss.backward()
        results.append((loss.detach(), model.prompts.context.grad.clone()))
        monkeypatch.setattr(prompt_stage, '_each_once', lambda labels: (labels, torch.arange(len(labels))))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(('stage', 'trainable'), [('warmup', IMAGE_SIDE), ('prompt', ['prompts']), ('bridging', None)])
def test_every_stage_in_half_precision_stays_near_full_precision(
    model: CMDGReID, stage: str, trainable: list[str] | None, dtype: torch.dtype
) -> None:
    """Loss terms within 3% and gradients within 10% (relative, norm): what rounding inside the towers changes."""
    rows = [0, 1, 3, 4, 6, 7]
    runs = []
    for half in (False, True):
        twin = copy.deepcopy(model)
        if trainable is None:
            prepare_bridging(twin)
        else:
            twin.start_stage(stage, trainable)
            twin.prepare_stage(Given())
        with torch.autocast('cpu', dtype, enabled=half):
            losses = twin(image_index=torch.tensor(rows), mode='loss') if stage == 'prompt' else losses_of(twin, rows)
        total, _ = twin.parse_losses(losses)
        # As fp16 is trained, with the loss scaled, so that small gradients do not vanish.
        (1024 * total).backward()
        runs.append((losses, {n: p.grad / 1024 for n, p in twin.named_parameters() if p.grad is not None}))
    (exact, exact_grads), (near, near_grads) = runs
    for name, value in exact.items():
        assert near[name].dtype == torch.float32, name
        torch.testing.assert_close(near[name], value, rtol=0.03, atol=1e-3, msg=f'{name}: {{}}'.format)
    assert near_grads.keys() == exact_grads.keys()
    flat, flat_near = (torch.cat([grads[n].flatten() for n in exact_grads]) for grads in (exact_grads, near_grads))
    assert (flat_near - flat).norm() < 0.1 * flat.norm()


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


@pytest.mark.parametrize('start', ['images', 'captions', 'prompts'])
def test_identity_memory_starts_with_its_stage_and_forgets_a_bad_batch(tiny_config: Config, start: str) -> None:
    term = dict(type='IdentityMemoryLoss', name='memory', start=start, inputs=dict(features='global_shared'))
    tiny_config.model.losses.bridging.append(term)
    tiny_config.model.on_nonfinite = 'skip'
    model = MODELS.build(copy.deepcopy(tiny_config.model))
    model.bind_identities(IDENTITIES)
    prepare_bridging(model)
    memory = model.losses['bridging'].losses['loss_memory']
    torch.testing.assert_close(memory.centroids.norm(dim=1), torch.ones(5))
    before = memory.centroids.clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)
    with model.guard.step(model, optimizer, 'bridging'):
        losses_of(model, [0, 1, 3, 4])
        changed = (memory.centroids != before).any(dim=1)
        assert changed.tolist() == [True, True, False, False, False]
        model.guard.check(torch.tensor(float('nan')), {}, 'bridging')
    assert torch.equal(memory.centroids, before)
    assert 'losses.bridging.losses.loss_memory.centroids' in model.state_dict()
