"""Batches of P identities with K images each."""

from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Dataset, Sampler

from cmdg_plugin.registry import DATA_SAMPLERS
from cmdg_plugin.saying import say, warn


@DATA_SAMPLERS.register_module()
class IdentitySampler(Sampler[int]):
    """Positions for batches of `batch_size / num_instances` identities with `num_instances` images each.

    Per epoch an identity's images are shuffled and dealt out in groups of `num_instances`; what does not fill a group
    waits for another epoch, and one with fewer images than that gives one group with repeats. A batch over all ranks
    holds different identities. The number of batches is the largest for which that is possible, the same in every
    epoch; identities are drawn at random among those with groups left, first those whose groups would not fit in later.
    (torchreid's `RandomIdentitySampler` draws alike, but stops where identities run out and cannot tell its length.)

    Args:
        dataset: Anything with `identities` (N,), one for every image.
        batch_size: Images of a batch on one rank.
        num_instances: Images of one identity in a batch (K).
        seed: Seed of the order; `None` draws one and shares it over the ranks.
        num_replicas: Number of ranks; `None` asks the process group.
        rank: This rank; `None` asks the process group.

    Raises:
        TypeError: If the dataset has no `identities`.
        ValueError: If `batch_size` is not a multiple of `num_instances` or there are too few identities for a batch.
    """

    _drawn_from = 'identities'

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        num_instances: int = 4,
        seed: int | None = 0,
        *,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        if num_instances < 1:
            raise ValueError(f'num_instances must be at least 1, got {num_instances}.')
        if batch_size < 1 or batch_size % num_instances:
            raise ValueError(
                f'batch_size {batch_size} is not a multiple of num_instances {num_instances}; a batch holds '
                'num_instances images of each of its identities, so change one of them.'
            )
        own_rank, world_size = get_dist_info()
        self.rank = own_rank if rank is None else rank
        self.num_replicas = world_size if num_replicas is None else num_replicas
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(f'expected a rank below {self.num_replicas}, got {self.rank}.')
        self.batch_size = batch_size
        self.num_instances = num_instances
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self._identities_per_rank = batch_size // num_instances
        self._identities_per_batch = self._identities_per_rank * self.num_replicas

        identities = _identities_of(dataset)
        rows = self._usable_images(identities)
        # Images grouped by identity: identity i owns _by_identity[_starts[i] : _starts[i] + _counts[i]].
        self._by_identity = rows[np.argsort(identities[rows], kind='stable')]
        self._identities, self._starts, self._counts = np.unique(
            identities[self._by_identity], return_index=True, return_counts=True
        )
        self._check_enough()
        self._warn_of_lonely()
        self._groups = np.maximum(self._counts // num_instances, 1)
        self.num_batches = count_batches(self._groups, self._identities_per_batch)

    def __len__(self) -> int:
        """Number of positions that an epoch gives on this rank."""
        return self.num_batches * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, whose order depends on nothing but `seed` and this number."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Give the positions of an epoch, batch after batch."""
        rng = np.random.default_rng((self.seed, self.epoch))
        shuffled = self._shuffle_images(rng)
        identities = self._draw_identities(rng)  # (batches, identities of all ranks)
        turns = self._choose_groups(identities, rng)
        first = self.rank * self._identities_per_rank
        own = slice(first, first + self._identities_per_rank)
        identities, turns = identities[:, own, None], turns[:, own, None]
        within = (turns * self.num_instances + np.arange(self.num_instances)) % self._counts[identities]
        return iter(shuffled[self._starts[identities] + within].ravel().tolist())

    def _usable_images(self, identities: np.ndarray) -> np.ndarray:
        """Positions of the images that are drawn from."""
        return np.arange(len(identities))

    def _choose_groups(self, identities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Number the group that each of the drawn identities gives: the first, then the one after it."""
        return count_earlier(identities)

    def _check_enough(self) -> None:
        if len(self._counts) < self._identities_per_batch:
            ranks = f' on each of {self.num_replicas} ranks' if self.num_replicas > 1 else ''
            raise ValueError(
                f'the dataset has {len(self._counts)} {self._drawn_from}, but a batch of {self.batch_size} with '
                f'{self.num_instances} images each{ranks} needs {self._identities_per_batch}; lower batch_size, raise '
                'num_instances or add data.'
            )

    def _warn_of_lonely(self) -> None:
        """Say where images of one identity in a batch are one image, so that no loss finds a positive pair."""
        alone = int((self._counts == 1).sum())
        few = int((self._counts < self.num_instances).sum())
        total = f'of {len(self._counts):,} identities'
        if self.num_instances == 1:
            warn('num_instances=1: no batch holds two images of an identity, so triplets have no positive pair')
        elif alone:
            warn(f'{alone:,} {total} have one image only: in a batch it is its own positive pair of triplets')
        elif few:
            say(f'{few:,} {total} have fewer than {self.num_instances} images; theirs stand in a batch repeatedly')

    def _shuffle_images(self, rng: np.random.Generator) -> np.ndarray:
        owner = np.repeat(np.arange(len(self._counts)), self._counts)
        return self._by_identity[np.lexsort((rng.random(len(owner)), owner))]

    def _draw_identities(self, rng: np.random.Generator) -> np.ndarray:
        """Draw different identities for every batch, (batches, identities of all ranks)."""
        width = self._identities_per_batch
        left = trim_groups(np.minimum(self._groups, self.num_batches), self.num_batches * width, rng)
        drawn = np.empty((self.num_batches, width), dtype=np.int64)
        for batch in range(self.num_batches):
            # One that has as many groups left as there are batches must be in all of them.
            due = np.flatnonzero(left == self.num_batches - batch)
            free = np.flatnonzero((left > 0) & (left < self.num_batches - batch))
            chosen = np.concatenate([due, rng.choice(free, width - len(due), replace=False)])
            drawn[batch] = rng.permutation(chosen)
            left[chosen] -= 1
        return drawn


def _identities_of(dataset: Dataset) -> np.ndarray:
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    identities = getattr(dataset, 'identities', None)
    if identities is None:
        raise TypeError(
            f'expected a dataset with `identities`, the identity of every image; {type(dataset).__name__} has none.'
        )
    return np.asarray(identities)


def count_batches(groups: np.ndarray, width: int) -> int:
    """Find the most batches of `width` different identities, identity i being in at most `groups[i]` of them."""
    low, high = 1, max(int(groups.sum()) // width, 1)
    while low < high:
        middle = (low + high + 1) // 2
        enough = int(np.minimum(groups, middle).sum()) >= middle * width
        low, high = (middle, high) if enough else (low, middle - 1)
    return low


def trim_groups(groups: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Drop groups of random identities until `total` are left."""
    owners = np.repeat(np.arange(len(groups)), groups)
    dropped = rng.choice(owners, len(owners) - total, replace=False)
    return groups - np.bincount(dropped, minlength=len(groups))


def count_earlier(identities: np.ndarray) -> np.ndarray:
    """Count for every entry how often its value stands in earlier rows; no row holds a value twice."""
    earlier = np.empty_like(identities)
    seen = np.zeros(identities.max() + 1, dtype=np.int64)
    for row, values in enumerate(identities):
        earlier[row] = seen[values]
        seen[values] += 1
    return earlier
