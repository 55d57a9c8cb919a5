"""Sentences reach the metric before the images do."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cmdg_plugin.datasets.evaluation_set import EvaluationSplit, EvaluationTarget
from cmdg_plugin.engine.hooks import SentenceQueryHook
from cmdg_plugin.evaluation import ReIDMetric

TARGET = EvaluationTarget(
    name='street',
    paths=['a.jpg', 'b.jpg'],
    identities=np.array([0, 1, 0, 1, 1]),
    cameras=np.zeros(5, dtype=np.int64),
    captions=[None, None],
    splits=(EvaluationSplit(query=np.array([2, 3, 4]), gallery=np.array([0, 1])),),
    has_cameras=False,
    sentences=('one', 'three', 'a long one'),
)


class Model(nn.Module):
    """Encodes a sentence as its length and one more number, and cuts what is longer than five letters."""

    def encode_sentences(self, sentences: list[str]) -> tuple[Tensor, int]:
        assert not self.training
        lengths = torch.tensor([[float(len(sentence)), 1.0] for sentence in sentences])
        return lengths, int((lengths[:, 0] > 5).sum())


def fake_runner(model: nn.Module, metric: ReIDMetric) -> Any:
    metric.dataset_meta = {'targets': (TARGET,)}
    loop = SimpleNamespace(evaluator=SimpleNamespace(metrics=[metric, object()]))
    return SimpleNamespace(model=model, val_loop=loop, test_loop=loop)


@pytest.mark.parametrize('event', ['before_val_epoch', 'before_test_epoch'])
def test_sentences_are_encoded_in_their_order(event: str, log: pytest.LogCaptureFixture) -> None:
    metric = ReIDMetric()
    getattr(SentenceQueryHook(batch_size=2), event)(fake_runner(Model().train(), metric))
    assert metric.sentence_features['street'].tolist() == [[3, 1], [5, 1], [10, 1]]
    assert '1 of 3 sentences were longer than the text tower reads' in log.text


def test_scores_of_sentences() -> None:
    """By hand: sentences (3, 1), (5, 1), (10, 1); images (1, 0.5) and (1, 0) of persons 0 and 1, by cosine.

    (3, 1) lies at 18.4 degrees, the images at 26.6 and 0: the first is nearer, and right. (5, 1) at 11.3 and (10, 1) at
    5.7 are nearer to the second one, and right, too. Person 0's wrong image comes last everywhere.
    """
    metric = ReIDMetric()
    runner = fake_runner(Model(), metric)
    image = [{'image_index': row, 'feature': torch.tensor([9.0, 1.0, 0.5 - 0.5 * row])} for row in range(2)]
    with pytest.raises(ValueError, match='Nobody encoded the sentences that ask for the images of street'):
        metric.process(None, image)
    SentenceQueryHook().before_test_epoch(runner)
    metric.process(None, image)
    scores = metric.compute_metrics(metric.results)
    assert {name: scores[f'street/{name}'] for name in ('R1', 'mAP', 'mINP')} == {'R1': 100, 'mAP': 100, 'mINP': 100}
    # Where the images change places, all are wrong at rank 1, and right at rank 2.
    metric.results = [(1 - row, feature) for row, feature in metric.results]
    scores = metric.compute_metrics(metric.results)
    assert {name: scores[f'street/{name}'] for name in ('R1', 'R5', 'mAP')} == {'R1': 0, 'R5': 100, 'mAP': 50}


def test_a_model_without_a_text_tower() -> None:
    with pytest.raises(ValueError, match='Linear encodes no sentences'):
        SentenceQueryHook().before_test_epoch(fake_runner(nn.Linear(1, 1), ReIDMetric()))
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        SentenceQueryHook(batch_size=0)
