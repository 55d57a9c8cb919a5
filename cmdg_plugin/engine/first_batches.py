"""Epochs of fewer batches than there are, or of more."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


class FirstBatches:
    """A dataloader that ends after so many batches, and begins anew where it has less.

    Args:
        loader: The dataloader; all else is asked of it.
        number: How many batches.
    """

    def __init__(self, loader: DataLoader, number: int) -> None:
        self.loader = loader
        self.number = number

    def __len__(self) -> int:
        """Number of batches."""
        return self.number

    def __iter__(self) -> Iterator[Any]:
        """Go through them."""
        given = 0
        while given < self.number:
            for batch in self.loader:
                yield batch
                given += 1
                if given == self.number:
                    return

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
