import pytest
import torch

from cmdg_plugin.datasets.samplers.nearest_identities import nearest_identities


def oracle(image: torch.Tensor, text: torch.Tensor | None, weight: float, row: int) -> list[float]:
    distances = []
    for other in range(len(image)):
        distance = float((image[row] / image[row].norm() - image[other] / image[other].norm()).norm())
        if text is not None:
            distance += weight * float((text[row] / text[row].norm() - text[other] / text[other].norm()).norm())
        distances.append(distance)
    return distances


@pytest.mark.parametrize('weight', [None, 0.5, 3.0])
@pytest.mark.parametrize('chunk_size', [1, 4, 100])
def test_neighbors_are_those_of_a_loop(weight: float | None, chunk_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(30, 8, dtype=torch.float64, generator=generator)
    text = None if weight is None else torch.randn(30, 5, dtype=torch.float64, generator=generator)
    rows = torch.tensor([3, 29, 0, 17, 5, 8])
    found = nearest_identities(image, rows, 7, text=text, text_weight=weight or 1.0, chunk_size=chunk_size)
    for row, neighbors in zip(rows.tolist(), found.tolist(), strict=True):
        distances = oracle(image, text, weight or 1.0, row)
        others = sorted((other for other in range(30) if other != row), key=distances.__getitem__)
        assert neighbors == others[:7]


def test_lambda_decides_between_look_and_words() -> None:
    image = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
    rows = torch.tensor([0])
    assert nearest_identities(image, rows, 1, text=text, text_weight=0.5).tolist() == [[1]]
    assert nearest_identities(image, rows, 1, text=text, text_weight=2.0).tolist() == [[2]]


def test_one_domain_alone_may_have_too_few() -> None:
    image = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [1.0, 0.3]])
    found = nearest_identities(image, torch.arange(4), 2, domains=torch.tensor([0, 1, 0, 1]))
    assert found.tolist() == [[2, -1], [3, -1], [0, -1], [1, -1]]
