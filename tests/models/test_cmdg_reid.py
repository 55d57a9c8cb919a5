import copy
from typing import Any

import pytest
import torch
from helpers.stage_batches import (
    DOMAINS,
    IDENTITIES,
    IMAGE_SIDE,
    TEXT_SIDE,
    Given,
    batch,
    bound_model,
    losses_of,
    prepare_bridging,
)
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample
from torch.utils._python_dispatch import TorchDispatchMode

from cmdg_plugin.checkpoints.publishing import strip_checkpoint
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.models.stages import prompt as prompt_stage
from cmdg_plugin.registry import MODELS


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
    model = bound_model(tiny_config.model)
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
    model = bound_model(tiny_config.model)
    prepare_bridging(model)
    before = {name: value.clone() for name, value in [*model.named_parameters(), *model.named_buffers()]}
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    model.train_step(batch([0, 1, 3, 4, 6, 7]), wrapper)
    assert model.guard.num_skipped == 1
    after = dict([*model.named_parameters(), *model.named_buffers()])
    assert [name for name, value in before.items() if not torch.equal(after[name], value)] == []


def test_the_words_of_trainable_name_what_dotted_names_do(text_model: CMDGReID) -> None:
    dotted = ['backbone.clip.visual', 'backbone.norm_width', 'backbone.norm_shared', 'head', *TEXT_SIDE]
    trained = []
    for words in (dotted, ['image', 'head', 'text']):
        text_model.start_stage('warmup', words)
        trained.append({name for name, value in text_model.named_parameters() if value.requires_grad})
    assert trained[0] == trained[1]
    assert 'backbone.clip.text_projection' in trained[0]


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


def test_a_term_that_would_miss_a_field_or_data_is_refused_before_training(tiny_config: Config) -> None:
    for changes, message in (
        (dict(inputs={'bank': 'bnak'}), "'part' reads the field 'bnak', but there are only: labels"),
        (dict(inputs={'bank': 'domain_prompt_features'}), "reads the field 'domain_prompt_features'"),
        (dict(num_neighbors=15), 'num_neighbors is 15, but the bank holds only 14'),
    ):
        config = copy.deepcopy(tiny_config.model)
        next(term for term in config.losses.bridging if term['name'] == 'part').update(changes)
        model = bound_model(config)
        model.check_stage('warmup', IMAGE_SIDE)
        with pytest.raises(ValueError, match=message):
            model.check_stage('bridging', IMAGE_SIDE)


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


@pytest.mark.parametrize('start', ['images', 'captions', 'prompts'])
def test_identity_memory_starts_with_its_stage_and_forgets_a_bad_batch(tiny_config: Config, start: str) -> None:
    term = dict(type='IdentityMemoryLoss', name='memory', start=start, inputs=dict(features='global_shared'))
    tiny_config.model.losses.bridging.append(term)
    tiny_config.model.on_nonfinite = 'skip'
    model = bound_model(tiny_config.model)
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


def test_features_need_no_identities_and_leave_those_of_a_checkpoint_aside(
    model: CMDGReID, tiny_config: Config
) -> None:
    plain = MODELS.build(copy.deepcopy(tiny_config.model))
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert not unexpected
    inputs = torch.rand(2, 3, 24, 16)
    assert torch.equal(plain.eval()(inputs), model.eval()(inputs))


def test_checkpoint_of_other_identities_is_refused_with_both_numbers(model: CMDGReID, tiny_config: Config) -> None:
    other = MODELS.build(copy.deepcopy(tiny_config.model))
    other.bind_identities([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r'5 identities .*this data has 2'):
        other.load_state_dict(model.state_dict())


def test_weights_of_another_model_are_refused(model: CMDGReID, tiny_config: Config) -> None:
    plain = MODELS.build(copy.deepcopy(tiny_config.model))
    with pytest.raises(ValueError, match=r'belongs to another model: backbone\.\S+ is missing; .* more'):
        plain.load_state_dict({'foo.bar': torch.zeros(2)}, strict=False)
    state = model.state_dict()
    state['backbone.clip.visual.proj'] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=r'backbone\.clip\.visual\.proj is \(3, 3\), here \(32, 16\)'):
        plain.load_state_dict(state)
    tiny_config.model.backbone.part_attention = True
    parts = MODELS.build(copy.deepcopy(tiny_config.model))
    with pytest.raises(ValueError, match=r'part_tokens\.offsets is missing\. .*part_attention'):
        parts.load_state_dict(plain.state_dict())
    with pytest.raises(ValueError, match=r'part_tokens\.offsets has no place here\. .*part_attention'):
        plain.load_state_dict(parts.state_dict())


@pytest.mark.parametrize('identities', [[0, 2], [1, 2], [], [[0, 1]]], ids=str)
def test_identities_with_gaps_are_refused(tiny_config: Config, identities: list) -> None:
    with pytest.raises(ValueError, match='numbered from 0 without gaps'):
        MODELS.build(tiny_config.model).bind_identities(identities)


def test_a_model_is_bound_to_one_set_of_images(model: CMDGReID) -> None:
    model.bind_identities(IDENTITIES)
    with pytest.raises(ValueError, match='bound to 15 images and cannot be bound to 3 others'):
        model.bind_identities([0, 1, 1])
    with pytest.raises(ValueError, match='cannot be bound'):
        model.bind_identities(IDENTITIES, DOMAINS)


def test_parts_have_the_sizes_of_data_and_backbone(model: CMDGReID) -> None:
    assert model.head.classifier_width.weight.shape == (5, 32)
    assert model.head.classifier_shared.weight.shape == (5, 16)
    assert len(model.prompts.context) == 5
    assert model.memory.image.shape == (15, 3, 16)
    assert not model.memory.save_text


def test_there_is_a_bank_where_a_term_of_any_stage_reads_it(model: CMDGReID, tiny_config: Config) -> None:
    tiny_config.model.losses.bridging = [term for term in tiny_config.model.losses.bridging if term.name == 'prompt']
    without = bound_model(tiny_config.model)
    assert without.memory is None
    assert not any(name.startswith('memory') for name in without.state_dict())
    missing, unexpected = without.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert not unexpected


def test_cached_tensors_follow_the_model(model: CMDGReID) -> None:
    model.image_features = torch.zeros(15, 4, 16)
    model.stages['bridging'].prompt_features = torch.zeros(5, 16)
    model.double()
    assert model.image_features.dtype == model.stages['bridging'].prompt_features.dtype == torch.float64
    assert model.stages['bridging'].caption_global is None
    assert not any('stages' in name for name in model.state_dict())
