"""Tables with a row per training image, which ranks hold together."""

from mmengine.dist import all_reduce, get_rank, get_world_size
from torch import Tensor


def own_rows(total: int) -> slice:
    """Rows of a table that this rank is responsible for; those of all ranks are the whole table, in order.

    Args:
        total: Rows of the whole table.
    """
    ranks, rank = get_world_size(), get_rank()
    return slice(total * rank // ranks, total * (rank + 1) // ranks)


def lookup_rows(table: Tensor, indices: Tensor, first_row: int | None) -> Tensor:
    """Look rows up in a table of which every rank holds its own rows, at the cost of exchanging the result.

    Args:
        table: The rows that this rank holds, (n, ...).
        indices: Rows of the whole table, (B,), the same on every rank.
        first_row: Where this rank's rows begin in the whole table; None if every rank holds the whole one.

    Returns:
        Their contents, (B, ...), the same on every rank.
    """
    if first_row is None:
        return table[indices]
    places = indices - first_row
    elsewhere = (places < 0) | (places >= len(table))
    rows = table[places.clamp(0, len(table) - 1)]
    # One rank has the row and the others add zeros, so the sum is exact in any type.
    rows = rows.masked_fill(elsewhere.view(-1, *[1] * (rows.ndim - 1)), 0)
    all_reduce(rows)
    return rows
