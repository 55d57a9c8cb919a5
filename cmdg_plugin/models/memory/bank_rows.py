"""What losses get of the memory bank: one object, which knows where its rows begin."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class BankRows:
    """The rows of a memory bank that this process searches; those of all processes are the whole bank.

    Attributes:
        image: Image part features, (n, P, D).
        norms: Their squared norms, (n, P).
        text: Caption part features, (n, P, D).
        text_norms: Their norms, not squared, (n, P).
        filled: Whether a row holds anything, (n,).
        labels: Identity of every row of the whole bank, (N,).
        domains: Domain of every row of the whole bank, (N,).
        first_row: Where these rows begin in the whole bank; None if a single process searches it whole.
    """

    image: Tensor
    norms: Tensor
    text: Tensor
    text_norms: Tensor
    filled: Tensor
    labels: Tensor
    domains: Tensor
    first_row: int | None

    @property
    def own_domains(self) -> Tensor:
        """Domain of each of these rows, (n,)."""
        start = self.first_row or 0
        return self.domains[start : start + len(self.image)]


def check_bank(owner: str, bank: object) -> BankRows:
    """Refuse what is not a `BankRows`, such as the bare tensor of one process's rows.

    Raises:
        TypeError: If it is something else.
    """
    if not isinstance(bank, BankRows):
        raise TypeError(
            f'{owner}: bank must be the BankRows that CaptionMemoryBank.rows_to_search(labels, domains) gives, got a '
            f'{type(bank).__name__}; a bare tensor does not say where its rows begin. The function takes tensors.'
        )
    return bank
