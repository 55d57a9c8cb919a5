"""Entries of other domains whose captions say the same: the text-guided half of domain bridging."""

from typing import ClassVar

import torch
from mmengine.dist import all_gather
from torch import Tensor, nn

from cmdg_plugin.models.losses.bank_scan import top_scores
from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.memory import BankRows, check_bank
from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.models.utils import check_count, check_mask, check_sizes, full_precision, to_common_float, wide_norms
from cmdg_plugin.registry import MODELS

_OWNER = 'find_text_neighbors'
_SCORES_HELD_CPU = 1 << 20
_SCORES_HELD_GPU = 1 << 26
"""Similarities (batch x bank rows) held at a time: 4 MB and 256 MB of float32."""


@torch.no_grad()
def find_text_neighbors(
    captions: Tensor,
    bank_text: Tensor,
    domains: Tensor,
    bank_domains: Tensor,
    *,
    num_neighbors: int,
    valid: Tensor | None = None,
    text_norms: Tensor | None = None,
    first_row: int | None = None,
) -> Tensor:
    """Find the entries of other domains with the most similar part captions.

    Similar means the mean over the parts of the cosine between caption features. Identities never stand in two domains,
    so none of what is found carries a sample's own identity. One matrix product per part over the bank, in chunks. Of
    entries with the same captions, which one is found is unspecified, but the same in every run on as many processes.

    Source: CMDG, the paper's figure: similarity between identities strengthened by fine-grained text.

    Args:
        captions: (P, B, D) caption part features of the batch.
        bank_text: (N, P, D) caption memory of all training images.
        domains: (B,) domain of each sample.
        bank_domains: (N,) domain of each entry.
        num_neighbors: k, at least 1.
        valid: (N,) bool, False for entries to pass over.
        text_norms: (N, P) norms of the memory's features, if the caller keeps them; computed here otherwise.
        first_row: Where several processes search a bank together: the bank's arguments are this one's rows, which
            begin here in the whole bank. Every process gets the neighbors in the whole bank. None if it is whole.

    Returns:
        (B, k) bank rows, most similar first; -1 where there are fewer (on a GPU, or of several processes).

    Raises:
        ValueError: If shapes disagree, k is below 1, or (checked on the CPU) a sample has fewer than k candidates.
    """
    check_count(_OWNER, num_neighbors=num_neighbors)
    sizes = check_sizes(
        _OWNER,
        captions=(captions, 'PBD'),
        bank_text=(bank_text, 'NPD'),
        domains=(domains, 'B'),
        bank_domains=(bank_domains, 'N'),
    )
    if text_norms is None:
        text_norms = wide_norms(bank_text)
    check_sizes(_OWNER, bank_text=(bank_text, 'NPD'), text_norms=(text_norms, 'NP'))
    if valid is not None:
        check_mask(_OWNER, 'valid', valid, sizes['N'])
    (captions,) = to_common_float(captions)
    queries = nn.functional.normalize(captions, dim=-1)
    candidates = bank_domains if valid is None else bank_domains.masked_fill(~valid, -1)
    held = _SCORES_HELD_CPU if captions.device.type == 'cpu' else _SCORES_HELD_GPU
    step = max(num_neighbors, held // sizes['B'])
    with full_precision(captions.device):
        found = [
            _search(queries, bank_text[rows], text_norms[rows], domains, candidates[rows], num_neighbors, rows.start)
            for rows in (slice(start, start + step) for start in range(0, sizes['N'], step))
        ]
    similarity, rows = (torch.cat(pieces, dim=1) for pieces in zip(*found, strict=True))
    if first_row is not None:
        similarity = torch.cat(all_gather(similarity.contiguous()), dim=1)
        rows = torch.cat(all_gather(rows + first_row), dim=1)
    best = similarity.topk(num_neighbors, dim=1)
    _check_found(best.values, num_neighbors, whole=first_row is None)
    return rows.gather(1, best.indices).masked_fill(best.values.isneginf(), -1)


def _search(
    queries: Tensor, text: Tensor, norms: Tensor, domains: Tensor, candidates: Tensor, k: int, start: int
) -> tuple[Tensor, Tensor]:
    """Search one chunk; similarities and rows (B, k), filled up with -inf where the chunk has fewer rows."""
    scores = queries.new_zeros(queries.shape[1], len(text))
    for part, query in enumerate(queries):
        # An empty entry's norm is 0; its similarity is 0, too.
        scale = norms[:, part].to(query.dtype).clamp_min(torch.finfo(query.dtype).tiny).reciprocal()
        scores.addcmul_(query @ text[:, part].to(query.dtype).T, scale)
    scores.masked_fill_((candidates == domains[:, None]) | (candidates < 0), -torch.inf)
    values, rows = top_scores(scores, min(k, len(text)))
    missing = k - values.shape[1]
    return nn.functional.pad(values, (0, missing), value=-torch.inf), nn.functional.pad(rows, (0, missing)) + start


def _check_found(similarity: Tensor, num_neighbors: int, whole: bool) -> None:
    # A GPU would have to be waited for; there, and where ranks search together, -1 says that there is none.
    if not whole or similarity.device.type != 'cpu':
        return
    fewest = int((~similarity.isneginf()).sum(dim=1).min())
    if fewest < num_neighbors:
        raise ValueError(
            f'{_OWNER}: num_neighbors is {num_neighbors}, but a sample has only {fewest} (filled) entries of other '
            'domains; train on two or more sources, or lower num_neighbors.'
        )


@MODELS.register_module()
class TextNeighborSearch(LossTerm):
    """Entry of a stage's list that finds neighbors by their captions for the loss terms after it.

    Args:
        num_neighbors: How many entries of other domains to find for each sample, at least 1.
        start_epoch: First epoch of the stage, counted from 0, in which there are any.
    """

    has_loss = False
    reads_bank_captions = True
    renamed_inputs: ClassVar = {
        'captions': 'caption_regions',
        'bank_text': 'bank',
        'bank_domains': None,
        'valid': None,
        'text_norms': None,
        'first_row': None,
    }

    def __init__(self, num_neighbors: int = 10, start_epoch: int = 0) -> None:
        super().__init__()
        check_count(type(self).__name__, num_neighbors=num_neighbors)
        check_count(type(self).__name__, at_least=0, start_epoch=start_epoch)
        self.num_neighbors = num_neighbors
        self.start_epoch = start_epoch

    def check_data(self, sizes: DataSizes) -> None:
        """Check that every image has enough images of other domains; see the base class."""
        if sizes.num_elsewhere < self.num_neighbors:
            raise ValueError(
                f'{type(self).__name__}: num_neighbors is {self.num_neighbors}, but an image of the largest source has '
                f'only {sizes.num_elsewhere} images of other sources; train on two or more sources, or lower '
                'num_neighbors.'
            )

    def forward(self, caption_regions: Tensor, bank: BankRows, domains: Tensor, epoch: int) -> tuple[Tensor | None]:
        """Return the (B, k) neighbors, or None before the start.

        Args:
            caption_regions: (R, B, D) caption features of the batch; the parts come first.
            bank: The rows that this process searches.
            domains: (B,) domain of each sample.
            epoch: Epoch of the stage, from 0.
        """
        if epoch < self.start_epoch:
            return (None,)
        check_bank(type(self).__name__, bank)
        return (
            find_text_neighbors(
                caption_regions[: bank.text.shape[1]],
                bank.text,
                domains,
                bank.own_domains,
                num_neighbors=self.num_neighbors,
                valid=bank.filled,
                text_norms=bank.text_norms,
                first_row=bank.first_row,
            ),
        )
