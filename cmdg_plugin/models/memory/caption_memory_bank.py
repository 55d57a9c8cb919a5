"""The memory bank: part features of every training image and its captions, kept up to date while training."""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn

from cmdg_plugin.models.memory.bank_rows import BankRows
from cmdg_plugin.models.memory.repeats import Repeats
from cmdg_plugin.models.memory.shards import own_rows
from cmdg_plugin.models.utils import check_count, check_indices, check_sizes, wide_norms
from cmdg_plugin.registry import MODELS

_TEXT_TYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}


@MODELS.register_module()
class CaptionMemoryBank(nn.Module):
    """Part features of all training images and their part captions, as a running average.

    An entry belongs to one training image, by the image's position in the dataset. What is saved in a checkpoint:
    `filled` (N,) and, once anything is filled, `image` and `text` (N, P, D). `image_norms` (N, P), the squared norms
    that `part_neighbor_loss` would otherwise compute each step, and `text_norms` (N, P), which `find_text_neighbors`
    divides by, follow from them and are not saved; whoever writes into `image` or `text` by hand calls `refresh_norms`.

    Source: CMDG, memory bank of inter-ID domain bridging.

    Args:
        num_samples: N, training images.
        num_parts: P, body parts an image has.
        dim: D, width of the features.
        momentum: Share of the new feature when an entry is updated, in (0, 1].
        text_dtype: Type that caption features are kept in: `float32`, `float16` or `bfloat16`.
        save_text: Whether checkpoints hold `text`; not needed where captions are encoded anew on a resume.
        sharded: Whether each rank holds its own rows of the bank alone (N becomes their number in all the shapes
            above), for banks too large for one device; the loss and its neighbors stay those of the whole bank.
            Checkpoints leave a sharded bank's rows out.

    Raises:
        ValueError: If a count is below 1, the momentum is out of range or the type is unknown.
    """

    image: Tensor
    text: Tensor
    filled: Tensor
    image_norms: Tensor
    text_norms: Tensor

    def __init__(
        self,
        num_samples: int,
        num_parts: int,
        dim: int,
        momentum: float = 0.3,
        *,
        text_dtype: str = 'float32',
        save_text: bool = True,
        sharded: bool = False,
    ) -> None:
        super().__init__()
        check_count('CaptionMemoryBank', num_samples=num_samples, num_parts=num_parts, dim=dim)
        if not 0 < momentum <= 1:
            raise ValueError(f'CaptionMemoryBank: momentum must lie above 0 and at most at 1, got {momentum}.')
        if text_dtype not in _TEXT_TYPES:
            raise ValueError(f'CaptionMemoryBank: text_dtype must be one of {list(_TEXT_TYPES)}, got {text_dtype!r}.')
        self.num_samples = num_samples
        self.momentum = momentum
        self.save_text = save_text
        self.sharded = sharded and get_world_size() > 1
        self.held = own_rows(num_samples) if self.sharded else slice(0, num_samples)
        rows = self.held.stop - self.held.start
        self.register_buffer('image', torch.zeros(rows, num_parts, dim), persistent=not self.sharded)
        text = torch.zeros(rows, num_parts, dim, dtype=_TEXT_TYPES[text_dtype])
        self.register_buffer('text', text, persistent=save_text and not self.sharded)
        self.register_buffer('filled', torch.zeros(rows, dtype=torch.bool), persistent=not self.sharded)
        self.register_buffer('image_norms', torch.zeros(rows, num_parts), persistent=False)
        self.register_buffer('text_norms', torch.zeros(rows, num_parts), persistent=False)

    @property
    def first_row(self) -> int | None:
        """Where this rank's rows begin in the whole bank; None if it holds all."""
        return self.held.start if self.sharded else None

    def rows_to_search(self, labels: Tensor | None = None, domains: Tensor | None = None) -> BankRows:
        """Return the rows that this rank searches for neighbors: all for a single process, else its share.

        Args:
            labels: Identity of every training image, (N,); None if no loss asks for them.
            domains: Domain of every training image, (N,); None likewise.
        """
        unknown = torch.full((self.num_samples,), -1, device=self.image.device)
        rows = slice(None) if self.sharded else own_rows(self.num_samples)
        return BankRows(
            self.image[rows],
            self.image_norms[rows],
            self.text[rows],
            self.text_norms[rows],
            self.filled[rows],
            unknown if labels is None else labels,
            unknown if domains is None else domains,
            own_rows(self.num_samples).start if get_world_size() > 1 else None,
        )

    @torch.no_grad()
    def update(self, indices: Tensor, image_parts: Tensor, text_parts: Tensor | None = None) -> None:
        """Blend a batch into its entries: `m <- (1 - momentum) m + momentum f`; an empty entry takes `f` itself.

        An image that stands several times in the batch is updated as often, in order. There is no loop over samples and
        nothing waits for a GPU (unless the bank is sharded); on a CPU two runs give the same bits.

        Args:
            indices: (B,) rows of the bank.
            image_parts: (P, B, D) image part features, of any floating-point type.
            text_parts: (P, B, D) caption part features; None leaves the captions as they are, as for a frozen tower.

        Raises:
            ValueError: If shapes disagree with each other or the bank.
            IndexError: If a row does not exist (checked on the CPU).
        """
        indices, image_parts, text_parts = self._take_own('update', indices, image_parts, text_parts)
        if not len(indices):
            return
        repeats = Repeats.of(indices)
        empty = ~self.filled[indices]
        # Applied in order, the j-th feature of an entry is faded by every later one; so are the old contents by all.
        # In float64, where the order of these few additions does not show once the sum is rounded.
        fade = (1 - self.momentum) ** repeats.later.double()
        first = empty & repeats.is_first
        share = torch.where(first, fade, self.momentum * fade)
        kept = torch.where(empty, 0.0, (1 - self.momentum) ** repeats.count.double())
        for entries, parts in ((self.image, image_parts), (self.text, text_parts)):
            if parts is None:
                continue
            new = repeats.sum_per_entry(parts.transpose(0, 1).double() * share[:, None, None])
            old = entries[indices].double() * kept[:, None, None]
            # Contents of an empty entry count for nothing, even if they are not numbers.
            entries[indices] = torch.where(empty[:, None, None], new, old + new).to(entries.dtype)
        self._written(indices, text_parts is not None)

    @torch.no_grad()
    def keep_rows(self, indices: Tensor) -> Callable[[], None]:
        """Copy the entries of a batch that is about to be blended in; returns what puts them back.

        Args:
            indices: (B,) rows of a bank that is not sharded.
        """
        rows = indices.unique()
        kept = [(entries, entries[rows].clone()) for entries in self.buffers()]

        @torch.no_grad()
        def restore() -> None:
            for entries, copy in kept:
                entries[rows] = copy

        return restore

    @torch.no_grad()
    def fill(self, indices: Tensor, image_parts: Tensor, text_parts: Tensor | None = None) -> None:
        """Store features as they are, as after a first pass over all images; of repeated rows the last one stays.

        Args:
            indices: (B,) rows of the bank.
            image_parts: (P, B, D) image part features, of any floating-point type.
            text_parts: (P, B, D) caption part features; None leaves the captions as they are.

        Raises:
            ValueError: If shapes disagree with each other or the bank.
            IndexError: If a row does not exist (checked on the CPU).
        """
        indices, image_parts, text_parts = self._take_own('fill', indices, image_parts, text_parts)
        if not len(indices):
            return
        last = Repeats.of(indices).last
        for entries, parts in ((self.image, image_parts), (self.text, text_parts)):
            if parts is not None:
                # Repeated rows all write the last one's features, so the order of writing does not matter.
                entries[indices] = parts.transpose(0, 1)[last].to(entries.dtype)
        self._written(indices, text_parts is not None)

    @torch.no_grad()
    def set_text(self, text_parts: Tensor) -> None:
        """Store the caption features of all entries that this rank holds.

        Args:
            text_parts: (n, P, D), of any floating-point type.

        Raises:
            ValueError: If there are more or fewer than entries.
        """
        check_sizes('CaptionMemoryBank.set_text', text=(self.text, 'NPD'), text_parts=(text_parts, 'NPD'))
        self.text.copy_(text_parts)
        self.text_norms.copy_(wide_norms(self.text))

    @torch.no_grad()
    def refresh_norms(self) -> None:
        """Recompute `image_norms` from `image`, and `text_norms` from `text`."""
        self.image_norms = _renewed(self.image_norms, wide_norms(self.image).square_())
        self.text_norms = _renewed(self.text_norms, wide_norms(self.text))

    def extra_repr(self) -> str:
        """Name the sizes."""
        _, parts, dim = self.image.shape
        shard = f', rows {self.held.start} to {self.held.stop}' if self.sharded else ''
        return f'num_samples={self.num_samples}, num_parts={parts}, dim={dim}, momentum={self.momentum}{shard}'

    def _take_own(
        self, method: str, indices: Tensor, image_parts: Tensor, text_parts: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Check a batch, choose the samples whose entries this rank holds, and count their rows from its first one."""
        owner = f'CaptionMemoryBank.{method}'
        texts = {} if text_parts is None else {'text_parts': (text_parts, 'PBD')}
        check_sizes(owner, bank=(self.image, 'NPD'), indices=(indices, 'B'), image_parts=(image_parts, 'PBD'), **texts)
        check_indices(owner, 'indices', indices, self.num_samples, 'training images in the bank', IndexError)
        indices = indices.long()
        if not self.sharded:
            return indices, image_parts, text_parts
        own = (indices >= self.held.start) & (indices < self.held.stop)
        return indices[own] - self.held.start, image_parts[:, own], None if text_parts is None else text_parts[:, own]

    def _written(self, indices: Tensor, text_too: bool) -> None:
        self.image_norms[indices] = wide_norms(self.image[indices]).square_()
        if text_too:
            self.text_norms[indices] = wide_norms(self.text[indices])
        self.filled.index_fill_(0, indices, True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'CaptionMemoryBank':
        # A move to half precision would round the norms, which the loss needs in float32.
        super()._apply(fn, recurse)
        self.refresh_norms()
        return self

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not self.filled.any():
            # Before the bridging stage there is nothing but zeros.
            for name in ('image', 'text'):
                destination.pop(prefix + name, None)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        filled = state_dict.get(prefix + 'filled')
        for name, own in (('filled', self.filled), ('image', self.image), ('text', self.text)):
            if name in self._non_persistent_buffers_set:
                # A shard's rows have files of their own; captions of a frozen tower are encoded anew.
                state_dict.pop(prefix + name, None)
                continue
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.shape != own.shape:
                raise ValueError(_size_message(saved, own))
            if saved is None and filled is not None and not filled.any():
                state_dict[prefix + name] = torch.zeros_like(own)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self.refresh_norms()


def _renewed(kept: Tensor, norms: Tensor) -> Tensor:
    """New norms, in place where they can be: data-parallel wrappers hold on to the buffer itself."""
    return kept.copy_(norms) if (norms.dtype, norms.device) == (kept.dtype, kept.device) else norms


def _size_message(saved: Tensor, own: Tensor) -> str:
    if saved.shape[0] != own.shape[0]:
        return (
            f"The checkpoint's memory bank holds {saved.shape[0]:,} training images, this run has {own.shape[0]:,}: "
            'resume with the same sources and captions, or start the bridging stage anew from weights without a bank.'
        )
    return (
        f"The checkpoint's memory bank has (parts, dim) = {tuple(saved.shape[1:])}, this run {tuple(own.shape[1:])}: "
        'use the configuration that the checkpoint was trained with.'
    )
