import pytest
from mmengine.config import Config

from cmdg_plugin.datasets import CaptionedReIDDataset
from cmdg_plugin.engine.identity_sources import check_source
from cmdg_plugin.registry import DATASETS


@pytest.fixture
def dataset(tiny_config: Config) -> CaptionedReIDDataset:
    built = DATASETS.build(tiny_config.train_dataloader.dataset)
    built.full_init()
    return built


def test_every_image_must_have_a_caption(dataset: CaptionedReIDDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    check_source('captions', 'X', 'warmup', dataset, prompts_learned=False)
    captions = [('', '', '', ' '), *dataset.captions[1:]]
    monkeypatch.setattr(CaptionedReIDDataset, 'captions', captions)
    with pytest.raises(ValueError, match=r"X of stage 'warmup' .*captions, but 1 of 36 training images have none"):
        check_source('captions', 'X', 'warmup', dataset, prompts_learned=False)


def test_prompts_must_have_been_learned(dataset: CaptionedReIDDataset) -> None:
    check_source('prompts', 'X', 'bridging', dataset, prompts_learned=True)
    with pytest.raises(ValueError, match=r"X of stage 'bridging' .* which no stage has learned before"):
        check_source('prompts', 'X', 'bridging', dataset, prompts_learned=False)
