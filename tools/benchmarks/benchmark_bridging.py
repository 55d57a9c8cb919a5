"""Time of the bridging step (bank update, part loss, soft labels; with gradients) beside its bare matrix products.

    python tools/benchmarks/benchmark_bridging.py [--images 100000] [--threads 2] [--device cpu]

Compared in one process, on the same random features, in turns: ours; the two matrix products per part that no
implementation can do without (features times bank, weights times bank); and the same mathematics written down plainly
(a loop for the update, autograd through the distance matrix, full sorts). "guided" is ours with captions that guide it,
as in recipe `full`; the search that this takes stands beside the product that it cannot do without. Also prints how far
ours is from the plain version in value and gradient.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from measuring import device_name, in_turns, report
from released_step import NEIGHBORS, SCALE, blend_one_by_one, softened_identity_loss, sorted_part_loss
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses import SoftIdentityLoss, find_text_neighbors, part_neighbor_loss
from cmdg_plugin.models.memory import CaptionMemoryBank


@dataclass(frozen=True)
class Step:
    """What a step starts from: a filled bank with its labels, and a batch."""

    bank: CaptionMemoryBank
    labels: Tensor
    domains: Tensor
    indices: Tensor
    images: Tensor
    texts: Tensor
    logits: Tensor

    def leaves(self) -> tuple[Tensor, Tensor]:
        """Part features and logits, ready for a backward pass."""
        return self.images.clone().requires_grad_(), self.logits.clone().requires_grad_()


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time the bridging step against its bare matrix products.')
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--parts', type=int, default=3)
    parser.add_argument('--dimensions', type=int, default=512)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--identities', type=int, default=5000)
    parser.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16', 'float16'], help='of the batch')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--no-plain', action='store_true', help='leave the plain version out: it needs far more memory')
    return parser.parse_args()


def make_step(arguments: argparse.Namespace) -> Step:
    """Draw features that cluster by identity, as long as a LayerNorm leaves them."""
    torch.manual_seed(0)
    images, parts, width, batch = arguments.images, arguments.parts, arguments.dimensions, arguments.batch
    labels = torch.randint(arguments.identities, (images,))
    bank = CaptionMemoryBank(images, parts, width)
    centers = torch.randn(arguments.identities, parts, width)
    for rows in torch.arange(images).split(10_000):
        features = functional.layer_norm(centers[labels[rows]] + torch.randn(len(rows), parts, width), (width,))
        bank.fill(rows, features.transpose(0, 1), features.transpose(0, 1))
    indices = torch.randint(images, (batch,))
    features = functional.layer_norm(bank.image[indices] + 0.3 * torch.randn(batch, parts, width), (width,))
    dtype, device = getattr(torch, arguments.dtype), arguments.device
    batch_parts = features.transpose(0, 1).to(device, dtype)
    logits = torch.randn(batch, arguments.identities).to(device, dtype)
    domains = (labels % 4).to(device)
    return Step(bank.to(device), labels.to(device), domains, indices.to(device), batch_parts, batch_parts, logits)


def ours(step: Step, guided: bool = False) -> tuple[Tensor, Tensor]:
    """Run the package's step, with or without captions that guide it."""
    parts, logits = step.leaves()
    bank = step.bank
    bank.update(step.indices, step.images, step.texts)
    text_neighbors = find_neighbors_by_text(step) if guided else None
    part, neighbors = part_neighbor_loss(
        parts,
        bank.image,
        step.indices,
        num_neighbors=NEIGHBORS,
        scale=SCALE,
        valid=bank.filled,
        bank_norms=bank.image_norms,
        text_neighbors=text_neighbors,
    )
    identity = SoftIdentityLoss(text_ratio=0.2)
    rows = bank.rows_to_search(step.labels, step.domains)
    loss = part + identity(logits, step.labels[step.indices], neighbors, rows, text_neighbors)
    loss.backward()
    return loss.detach(), gradient_of(parts)


def find_neighbors_by_text(step: Step) -> Tensor:
    """Search the captions of other domains."""
    return find_text_neighbors(
        step.texts,
        step.bank.text,
        step.domains[step.indices],
        step.domains,
        num_neighbors=NEIGHBORS,
        valid=step.bank.filled,
        text_norms=step.bank.text_norms,
    )


def bare_products(step: Step) -> None:
    """Multiply features with the bank and weights of the same shape with the bank, per part."""
    for part, features in enumerate(step.images.float()):
        entries = step.bank.image[:, part]
        weights = features @ entries.T
        weights @ entries


def caption_products(step: Step) -> None:
    """Multiply the batch's captions with the bank's, per part: what a search by captions cannot do without."""
    for part, features in enumerate(step.texts.float()):
        features @ step.bank.text[:, part].T


def plain(step: Step) -> tuple[Tensor, Tensor]:
    """Do the same with a loop, the whole distance matrix under autograd, and full sorts."""
    parts, logits = step.leaves()
    blend_one_by_one(step.bank.image, step.indices, step.images)
    blend_one_by_one(step.bank.text, step.indices, step.texts)
    part, neighbor_labels = sorted_part_loss(parts, step.bank.image, step.indices, step.labels)
    loss = part + softened_identity_loss(logits, step.labels[step.indices], neighbor_labels)
    loss.backward()
    return loss.detach(), gradient_of(parts)


def gradient_of(leaf: Tensor) -> Tensor:
    """Gradient that a backward pass left, in float32."""
    if leaf.grad is None:
        raise RuntimeError('the backward pass reached no features.')
    return leaf.grad.float()


def compare(step: Step) -> None:
    """Report how far our loss and gradient are from the plain version's, both from the same bank."""
    before = [entries[step.indices].transpose(0, 1) for entries in (step.bank.image, step.bank.text)]
    loss, gradient = ours(step)
    step.bank.fill(step.indices, *before)
    plain_loss, plain_gradient = plain(step)
    value = ((loss - plain_loss).abs() / plain_loss.abs()).item()
    slope = ((gradient - plain_gradient).norm() / plain_gradient.norm()).item()
    report(f'relative difference to the plain version: loss {value:.1e}, gradient {slope:.1e}')


def main() -> None:
    """Measure and print milliseconds and ratios."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    step = make_step(arguments)
    where = device_name(arguments.threads, on_gpu=step.images.is_cuda)
    report(
        f'{arguments.images:,} images, {arguments.parts} parts, {arguments.dimensions} wide, batch {arguments.batch}, '
    )
    report(f'{arguments.dtype} on {where}, torch {torch.__version__}, {arguments.rounds} rounds')
    functions: dict[str, Callable[[Step], object]] = {
        'bare products': bare_products,
        'ours': ours,
        'guided': partial(ours, guided=True),
        'caption product': caption_products,
        'caption search': find_neighbors_by_text,
    }
    if not arguments.no_plain:
        compare(step)
        functions['plain'] = plain
    seconds = in_turns({name: partial(run, step) for name, run in functions.items()}, arguments.rounds)
    base = seconds['bare products']
    report(f'{"":<16}{"best":>10}{"median":>10}{"x bare (best)":>16}{"x bare (median)":>16}')
    for name, times in seconds.items():
        best, median = min(times), statistics.median(times)
        ratios = best / min(base), median / statistics.median(base)
        report(f'{name:<16}{best * 1e3:>7.1f} ms{median * 1e3:>7.1f} ms{ratios[0]:>16.2f}{ratios[1]:>16.2f}')


if __name__ == '__main__':
    main()
