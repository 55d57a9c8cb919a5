"""One feature for each identity, against means by hand."""

import copy

import pytest
import torch
from mmengine.config import Config
from torch.nn import functional

from cmdg_plugin.datasets import CaptionedReIDDataset
from cmdg_plugin.engine.encoding import EncodingOptions, encode_images
from cmdg_plugin.engine.identity_features import check_source, encode_identities
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.registry import DATASETS, MODELS


@pytest.fixture
def dataset(tiny_config: Config) -> CaptionedReIDDataset:
    built = DATASETS.build(tiny_config.train_dataloader.dataset)
    built.full_init()
    return built


@pytest.fixture
def model(tiny_config: Config, dataset: CaptionedReIDDataset) -> CMDGReID:
    torch.manual_seed(0)
    built = MODELS.build(copy.deepcopy(tiny_config.model))
    built.bind_identities(dataset.identities, dataset.domains)
    return built


@pytest.fixture
def options(tiny_config: Config) -> EncodingOptions:
    return EncodingOptions(tiny_config.custom_hooks[0].pipeline, batch_size=7, num_workers=0)


def test_means_of_captions_and_images_are_those_by_hand(
    model: CMDGReID, dataset: CaptionedReIDDataset, options: EncodingOptions
) -> None:
    images = encode_images(model, dataset, options)[:, 3]
    sentences, _ = model.encode_sentences([row[3] for row in dataset.captions])
    for source, features in (('images', images), ('captions', sentences)):
        means = encode_identities(model, dataset, source, options)
        assert len(means) == 12
        for identity, mean in enumerate(means):
            own = functional.normalize(features[torch.as_tensor(dataset.identities == identity)], dim=1)
            torch.testing.assert_close(mean, own.mean(dim=0), rtol=1e-4, atol=1e-5)


def test_prompts_are_those_of_the_model(
    model: CMDGReID, dataset: CaptionedReIDDataset, options: EncodingOptions
) -> None:
    found = encode_identities(model, dataset, 'prompts', options)
    torch.testing.assert_close(found, model.encode_identities(torch.arange(12)).detach())
    assert not found.requires_grad


def test_empty_captions_do_not_count(
    model: CMDGReID, dataset: CaptionedReIDDataset, options: EncodingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = dataset.captions
    first, second, *_ = torch.as_tensor(dataset.identities == 0).nonzero().ravel().tolist()
    captions[first] = captions[second] = ('', '', '', ' ')
    monkeypatch.setattr(CaptionedReIDDataset, 'captions', captions)
    mean = encode_identities(model, dataset, 'captions', options)[0]
    third = int(torch.as_tensor(dataset.identities == 0).nonzero()[2])
    alone, _ = model.encode_sentences([captions[third][3]])
    torch.testing.assert_close(mean, functional.normalize(alone[0], dim=0), rtol=1e-4, atol=1e-5)
    check_source('captions', 'X', 'warmup', dataset, prompts_learned=False)
    captions[third] = captions[first]
    with pytest.raises(ValueError, match=r"X of stage 'warmup' .*captions, but 1 of 12 have none"):
        check_source('captions', 'X', 'warmup', dataset, prompts_learned=False)


def test_prompts_must_have_been_learned(dataset: CaptionedReIDDataset) -> None:
    check_source('prompts', 'X', 'bridging', dataset, prompts_learned=True)
    with pytest.raises(ValueError, match=r"X of stage 'bridging' .* which no stage has learned before"):
        check_source('prompts', 'X', 'bridging', dataset, prompts_learned=False)
