"""The memory bank: part features of every training image and its captions, kept up to date while training."""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn

from cmdg_plugin.models.memory.repeats import Repeats
from cmdg_plugin.models.utils import check_indices, check_sizes
from cmdg_plugin.registry import MODELS

_ENTRIES = ('image', 'text')


@MODELS.register_module()
class CaptionMemoryBank(nn.Module):
    """Part features of all training images and their part captions, as a running average.

    An entry belongs to one training image, by the image's position in the dataset. What is saved in a checkpoint:
    `image` and `text` (N, P, D) and `filled` (N,). `image_norms` (N, P), the squared norms that `part_neighbor_loss`
    would otherwise compute each step, follow from `image` and are not saved; whoever writes into `image` by hand calls
    `refresh_norms`.

    Source: CMDG, memory bank of inter-ID domain bridging.

    Args:
        num_samples: N, training images.
        num_parts: P, body parts an image has.
        dim: D, width of the features.
        momentum: Share of the new feature when an entry is updated, in (0, 1].

    Raises:
        ValueError: If a count is below 1 or the momentum is out of range.
    """

    image: Tensor
    text: Tensor
    filled: Tensor
    image_norms: Tensor

    def __init__(self, num_samples: int, num_parts: int, dim: int, momentum: float = 0.3) -> None:
        super().__init__()
        for name, value in (('num_samples', num_samples), ('num_parts', num_parts), ('dim', dim)):
            if value < 1:
                raise ValueError(f'CaptionMemoryBank: {name} must be at least 1, got {value}')
        if not 0 < momentum <= 1:
            raise ValueError(f'CaptionMemoryBank: momentum must lie above 0 and at most at 1, got {momentum}')
        self.momentum = momentum
        self.register_buffer('image', torch.zeros(num_samples, num_parts, dim))
        self.register_buffer('text', torch.zeros(num_samples, num_parts, dim))
        self.register_buffer('filled', torch.zeros(num_samples, dtype=torch.bool))
        self.register_buffer('image_norms', torch.zeros(num_samples, num_parts), persistent=False)

    @property
    def num_samples(self) -> int:
        """Number of training images."""
        return len(self.filled)

    @property
    def own_rows(self) -> slice:
        """Rows that this rank searches; those of all ranks are the whole bank."""
        ranks, rank = get_world_size(), get_rank()
        return slice(self.num_samples * rank // ranks, self.num_samples * (rank + 1) // ranks)

    @torch.no_grad()
    def update(self, indices: Tensor, image_parts: Tensor, text_parts: Tensor) -> None:
        """Blend a batch into its entries: `m <- (1 - momentum) m + momentum f`; an empty entry takes `f` itself.

        An image that stands several times in the batch is updated as often, in order. There is no loop over samples and
        nothing waits for a GPU; on a CPU two runs give the same bits.

        Args:
            indices: (B,) rows of the bank.
            image_parts: (P, B, D) image part features, of any floating-point type.
            text_parts: (P, B, D) caption part features.

        Raises:
            ValueError: If shapes disagree with each other or the bank.
            IndexError: If a row does not exist (checked on the CPU).
        """
        indices, repeats = self._check('update', indices, image_parts, text_parts)
        empty = ~self.filled[indices]
        # Applied in order, the j-th feature of an entry is faded by every later one; so are the old contents by all.
        # In float64, where the order of these few additions does not show once the sum is rounded.
        fade = (1 - self.momentum) ** repeats.later.double()
        first = empty & repeats.is_first
        share = torch.where(first, fade, self.momentum * fade)
        kept = torch.where(empty, 0.0, (1 - self.momentum) ** repeats.count.double())
        for entries, parts in ((self.image, image_parts), (self.text, text_parts)):
            new = repeats.sum_per_entry(parts.transpose(0, 1).double() * share[:, None, None])
            old = entries[indices].double() * kept[:, None, None]
            # Contents of an empty entry count for nothing, even if they are not numbers.
            entries[indices] = torch.where(empty[:, None, None], new, old + new).to(entries.dtype)
        self._written(indices)

    @torch.no_grad()
    def fill(self, indices: Tensor, image_parts: Tensor, text_parts: Tensor) -> None:
        """Store features as they are, as after a first pass over all images; of repeated rows the last one stays.

        Args:
            indices: (B,) rows of the bank.
            image_parts: (P, B, D) image part features, of any floating-point type.
            text_parts: (P, B, D) caption part features.

        Raises:
            ValueError: If shapes disagree with each other or the bank.
            IndexError: If a row does not exist (checked on the CPU).
        """
        indices, repeats = self._check('fill', indices, image_parts, text_parts)
        for entries, parts in ((self.image, image_parts), (self.text, text_parts)):
            # Repeated rows all write the last one's features, so the order of writing does not matter.
            entries[indices] = parts.transpose(0, 1)[repeats.last].to(entries.dtype)
        self._written(indices)

    @torch.no_grad()
    def refresh_norms(self) -> None:
        """Recompute `image_norms` from `image`."""
        dtype = torch.promote_types(self.image.dtype, torch.float32)
        norms = torch.linalg.vector_norm(self.image, dim=-1, dtype=dtype).square_()
        if (norms.dtype, norms.device) == (self.image_norms.dtype, self.image_norms.device):
            self.image_norms.copy_(norms)  # in place: data-parallel wrappers hold on to the buffer itself
        else:
            self.image_norms = norms

    def extra_repr(self) -> str:
        """Name the sizes."""
        samples, parts, dim = self.image.shape
        return f'num_samples={samples}, num_parts={parts}, dim={dim}, momentum={self.momentum}'

    def _check(self, method: str, indices: Tensor, image_parts: Tensor, text_parts: Tensor) -> tuple[Tensor, Repeats]:
        owner = f'CaptionMemoryBank.{method}'
        check_sizes(
            owner,
            bank=(self.image, 'NPD'),
            indices=(indices, 'B'),
            image_parts=(image_parts, 'PBD'),
            text_parts=(text_parts, 'PBD'),
        )
        check_indices(owner, 'indices', indices, self.num_samples, 'training images in the bank', IndexError)
        indices = indices.long()
        return indices, Repeats.of(indices)

    def _written(self, indices: Tensor) -> None:
        rows = self.image[indices]
        dtype = self.image_norms.dtype
        self.image_norms[indices] = torch.linalg.vector_norm(rows, dim=-1, dtype=dtype).square_()
        self.filled.index_fill_(0, indices, True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'CaptionMemoryBank':
        # A move to half precision would round the norms, which the loss needs in float32.
        super()._apply(fn, recurse)
        self.refresh_norms()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        for name in _ENTRIES:
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.shape != self.image.shape:
                raise ValueError(_size_message(saved, self.image))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self.refresh_norms()


def _size_message(saved: Tensor, own: Tensor) -> str:
    if saved.shape[0] != own.shape[0]:
        return (
            f"the checkpoint's memory bank holds {saved.shape[0]:,} training images, this run has {own.shape[0]:,}: "
            'resume with the same sources and captions, or start the bridging stage anew from weights without a bank'
        )
    return (
        f"the checkpoint's memory bank has (parts, dim) = {tuple(saved.shape[1:])}, this run {tuple(own.shape[1:])}: "
        'use the configuration that the checkpoint was trained with'
    )
