"""Accuracy of products inside the scope, and that nothing of it stays behind."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from cmdg_plugin.evaluation.exact_matmul import exact_float32_matmul

MKLDNN: Any = torch.backends.mkldnn


@pytest.fixture(params=['highest', 'high', 'medium'])
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def test_products_are_exact_inside_and_settings_return(precision: str) -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(64, 512, generator=generator), torch.randn(512, 64, generator=generator)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        with exact_float32_matmul(torch.device('cpu')):
            product = left @ right
        assert (left @ right).dtype == torch.bfloat16
    assert product.dtype == torch.float32
    torch.testing.assert_close(product.double(), left.double() @ right.double(), atol=2e-4, rtol=0)
    assert torch.get_float32_matmul_precision() == precision


def test_settings_return_after_an_error(precision: str) -> None:
    with pytest.raises(RuntimeError, match='inside'), exact_float32_matmul(torch.device('cpu')):
        raise RuntimeError('inside')
    assert torch.get_float32_matmul_precision() == precision


@pytest.mark.skipif(not hasattr(MKLDNN, 'matmul'), reason='this torch has the older switches only')
def test_the_newer_switches_work_too() -> None:
    MKLDNN.matmul.fp32_precision = 'bf16'
    try:
        with exact_float32_matmul(torch.device('cpu')):
            assert MKLDNN.matmul.fp32_precision == 'ieee'
        assert MKLDNN.matmul.fp32_precision == 'bf16'
    finally:
        MKLDNN.matmul.fp32_precision = 'none'
