import pytest
import torch

from cmdg_plugin.models.utils import full_precision, to_common_float


@pytest.mark.parametrize(
    ('types', 'expected'),
    [
        ((torch.bfloat16, torch.float16), torch.float32),
        ((torch.float32, torch.bfloat16), torch.float32),
        ((torch.float64, torch.float16), torch.float64),
    ],
)
def test_widest_type_of_at_least_float32(types: tuple[torch.dtype, torch.dtype], expected: torch.dtype) -> None:
    assert {tensor.dtype for tensor in to_common_float(*(torch.ones(2, dtype=t) for t in types))} == {expected}


def test_integers_are_refused() -> None:
    with pytest.raises(TypeError, match=r'must be floating point, got torch\.int64'):
        to_common_float(torch.arange(3))


def test_products_keep_their_precision_under_autocast() -> None:
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        with full_precision(torch.device('cpu')):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
