import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

from cmdg_plugin.datasets import CaptionedReIDDataset
from cmdg_plugin.engine.encoding import EncodingOptions, encode_captions, encode_images, encode_rows
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.registry import DATASETS, MODELS


@pytest.fixture
def model(tiny_config: Config) -> CMDGReID:
    torch.manual_seed(0)
    built = MODELS.build(tiny_config.model)
    return built


@pytest.fixture
def dataset(tiny_config: Config) -> CaptionedReIDDataset:
    built = DATASETS.build(tiny_config.train_dataloader.dataset)
    built.full_init()
    return built


def test_images_are_encoded_in_dataset_order_without_randomness(
    tiny_config: Config, model: CMDGReID, dataset: CaptionedReIDDataset
) -> None:
    pipeline = tiny_config.custom_hooks[0].pipeline
    regions = encode_images(model, dataset, EncodingOptions(pipeline, batch_size=5, num_workers=0))
    plain = dataset.with_pipeline(pipeline)
    for row in (0, 7, len(dataset) - 1):
        image = model.data_preprocessor({'inputs': plain[row]['inputs'][None]})['inputs']
        alone = model.backbone.eval().encode_image(image).shared_regions[:, 0]
        assert torch.allclose(regions[row], alone, atol=1e-5)


def test_mode_of_the_model_is_left_as_it_was(
    tiny_config: Config, model: CMDGReID, dataset: CaptionedReIDDataset
) -> None:
    model.train()
    encode_images(model, dataset, EncodingOptions(tiny_config.custom_hooks[0].pipeline, 16, 0))
    assert model.training


def test_some_rows_come_in_the_order_that_they_are_asked_for(
    tiny_config: Config, model: CMDGReID, dataset: CaptionedReIDDataset
) -> None:
    options = EncodingOptions(tiny_config.custom_hooks[0].pipeline, batch_size=2, num_workers=0)
    found = encode_rows(model, model.encode_retrieval, dataset, options, [9, 2, 30])
    plain = dataset.with_pipeline(options.pipeline)
    for row, feature in zip((9, 2, 30), found, strict=True):
        image = model.data_preprocessor({'inputs': plain[row]['inputs'][None]})['inputs']
        torch.testing.assert_close(feature, model.eval().extract_features(image)[0], rtol=1e-4, atol=1e-5)


class Lengths(nn.Module):
    """Encodes a sentence as its length, counts calls, and cuts everything beyond nine letters."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def encode_sentences(self, sentences: list[str]) -> tuple[torch.Tensor, int]:
        self.seen += sentences
        cut = sum(len(sentence) > 9 for sentence in sentences)
        return torch.tensor([[float(len(sentence)), 1.0] for sentence in sentences]), cut


def test_captions_keep_their_places_and_equal_sentences_are_encoded_once(caplog: pytest.LogCaptureFixture) -> None:
    # MMEngine's logger does not pass records on to the root, where pytest listens.
    MMLogger.get_current_instance().addHandler(caplog.handler)
    captions = [('aa', 'b', 'cccc', 'aa'), ('b', 'dd', 'aa', 'a sentence')]
    model = Lengths()
    features = encode_captions(model, captions, batch_size=2)
    assert features[..., 0].tolist() == [[2, 1, 4, 2], [1, 2, 2, 10]]
    assert sorted(model.seen) == ['a sentence', 'aa', 'b', 'cccc', 'dd']
    assert '1 of 5 sentences were longer' in caplog.text


def test_a_caption_that_is_empty_has_a_feature_of_zeros() -> None:
    features = encode_captions(Lengths(), [('aa', '', 'b', ' '), ('',) * 4])
    assert features.tolist() == [[[2, 1], [0, 0], [1, 1], [0, 0]], [[0, 0]] * 4]
