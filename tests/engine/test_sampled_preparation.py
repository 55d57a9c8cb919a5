import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.engine import sampled_preparation
from cmdg_plugin.engine.encoding import EncodingOptions
from cmdg_plugin.engine.hooks.stage_preparation_hook import RunPreparation
from cmdg_plugin.engine.sampled_preparation import SampledPreparation


def test_features_of_one_batch_stand_in_for_all(tiny_config: Config) -> None:
    (hook,) = [hook for hook in tiny_config.custom_hooks if hook.type == 'PromptLearningHook']
    runner = Runner.from_cfg(tiny_config)
    loop = runner.build_train_loop(tiny_config.train_cfg)
    runner._train_loop = loop
    options = EncodingOptions(hook.pipeline, batch_size=4, num_workers=0)
    whole, sampled = RunPreparation(runner, options), SampledPreparation(runner, options)
    total = len(loop.dataset)
    assert total > 4
    places = torch.arange(total) % 4
    torch.testing.assert_close(sampled.image_features(None), whole.image_features(None)[places])
    torch.testing.assert_close(sampled.caption_features(None), whole.caption_features(None)[places])
    chosen = [5, 1, 0, 2, 3, 4]
    torch.testing.assert_close(
        sampled.retrieval_features(chosen), whole.retrieval_features(chosen)[torch.arange(6) % 4]
    )
    assert set(sampled.once) == {'images', 'captions'}
    assert min(*sampled.once.values(), *sampled.each_epoch) > 0


@pytest.mark.parametrize(
    ('total', 'workers', 'expected'), [(99_000, 4, 30 + 0.5 * 98_900), (100, 4, 30.0), (150, 4, 55)]
)
def test_what_starts_once_is_counted_once(
    monkeypatch: pytest.MonkeyPatch, total: int, workers: int, expected: float
) -> None:
    """Starting takes 20 s the first time and 5 s later, each image half a second where workers share them."""
    clock = [0.0]
    monkeypatch.setattr(sampled_preparation.time, 'perf_counter', lambda: clock[0])
    started = iter([True])

    def encode(number: int) -> torch.Tensor:
        alone = min(100, number) * 0.1
        clock[0] += (20 if next(started, False) else 5) + alone + max(0, number - 100) * 0.5
        return torch.zeros(number)

    measured = SampledPreparation(None, EncodingOptions([], 100, workers))._measure(encode, 100, total)
    assert len(measured[0]) == 100
    assert measured[1] == pytest.approx(expected)
