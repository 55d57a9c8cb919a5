"""Banks as losses get them, made of bare tensors."""

import torch
from torch import Tensor

from cmdg_plugin.models.memory import BankRows


def make_bank(
    image: Tensor | None = None,
    *,
    text: Tensor | None = None,
    labels: Tensor | None = None,
    domains: Tensor | None = None,
    first_row: int | None = None,
) -> BankRows:
    """Put rows together; what is not given is empty or zero."""
    given = [value for value in (image, text, labels, domains) if value is not None]
    rows = len(given[0])
    image = torch.zeros(rows, 3, 1) if image is None else image
    text = torch.zeros_like(image) if text is None else text
    return BankRows(
        image=image,
        norms=image.square().sum(dim=-1).to(torch.promote_types(image.dtype, torch.float32)),
        text=text,
        text_norms=text.norm(dim=-1),
        filled=torch.ones(rows, dtype=torch.bool),
        labels=torch.zeros(rows, dtype=torch.long) if labels is None else labels,
        domains=torch.zeros(rows, dtype=torch.long) if domains is None else domains,
        first_row=first_row,
    )


def problem(
    entries: int = 70, batch: int = 6, dim: int = 8, parts: int = 3, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Parts (P, B, D) of a batch, a bank (N, P, D) and the batch's positions in it, drawn at random."""
    bank = torch.randn(entries, parts, dim, dtype=dtype)
    return torch.randn(parts, batch, dim, dtype=dtype, requires_grad=True), bank, torch.randperm(entries)[:batch]
