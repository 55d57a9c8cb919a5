"""Time and memory of a whole bridging step beside the released recipe's, in one process on the same batch.

    python tools/benchmarks/benchmark_step.py [--model cmdg-toy-vit] [--images 100000] [--threads 2]
    python tools/benchmarks/benchmark_step.py --model ViT-B-16 --device cuda --amp bfloat16 --full

The released recipe as its authors run it, written from its description: the image tower twice, the batch's captions and
prompts through the text tower at all 77 tokens, a memory of Python lists that is stacked anew, distances under autograd
and full sorts. Both start from the same weights and memory, and the losses are compared before anything is timed. The
parts are also timed by themselves, in the same turns. With --full, so is a step of recipe `full`: part tokens in the
tower and captions that guide the bridging.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from measuring import REPOSITORY, device_name, in_turns, medians, peak_memory, report
from mmengine.config import Config
from mmpretrain.structures import DataSample
from released_step import Setup, encode_captions, encode_prompts, released_loss, sorted_part_loss, stacked_memory
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.engine.mixed_precision import fit_precision_to_device
from cmdg_plugin.registry import MODELS, OPTIM_WRAPPERS

TRAINED = ['backbone.clip.visual', 'backbone.norm_width', 'backbone.norm_shared', 'head']
DOMAINS = 4
WORDS = ('a', 'person', 'with', 'short', 'dark', 'hair', 'wears', 'red', 'jacket', 'blue', 'jeans', 'white', 'shoes')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time a bridging step against the released recipe.')
    parser.add_argument('--model', default='cmdg-toy-vit', help='an open_clip model')
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--identities', type=int, default=5000)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--amp', choices=['bfloat16', 'float16'], help='mixed precision; on a CPU bfloat16 alone')
    parser.add_argument('--full', action='store_true', help='time a step of recipe full, too')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


@dataclass(frozen=True)
class MadeUp:
    """A stage's preparation from features that are given."""

    images: Tensor
    captions: Tensor
    resumed: bool = False
    stages_done: tuple[str, ...] = ('prompt',)

    def image_features(self, rows: slice | None) -> Tensor:
        """Features of the images."""
        return self.images

    def caption_features(self, rows: slice | None) -> Tensor:
        """Features of their captions."""
        return self.captions

    def restore_bank(self, memory: Any) -> None:
        """There is nothing to restore."""


def make_setup(arguments: argparse.Namespace, *, full: bool = False) -> Setup:
    """Build the model of a recipe in its bridging stage, and a batch of 4 images per identity."""
    torch.manual_seed(0)
    shared = 'cmdg_full_shared.py' if full else 'cmdg_shared.py'
    config = Config.fromfile(REPOSITORY / 'configs/_base_/models' / shared).model
    backbone = {'type': 'TextAwareCLIP', 'model_name': arguments.model, 'part_attention': full}
    model = MODELS.build({**config, 'backbone': backbone})
    identities = torch.arange(arguments.images) % arguments.identities
    model.bind_identities(identities, identities % DOMAINS)
    model.to(arguments.device).start_stage('bridging', TRAINED)
    model.start_epoch(1)  # from which on captions guide
    people = torch.randperm(arguments.identities)[: arguments.batch // 4]
    index = (people.repeat_interleave(4) + arguments.identities * torch.arange(4).repeat(len(people))).tolist()
    batch = {
        'inputs': torch.randint(256, (len(index), 3, *model.backbone.image_size), dtype=torch.uint8),
        'data_samples': [DataSample(metainfo={'image_index': row}).set_gt_label(int(identities[row])) for row in index],
    }
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.0)
    precision = {'type': 'AmpOptimWrapper', 'dtype': arguments.amp} if arguments.amp else {'type': 'OptimWrapper'}
    wrapper = OPTIM_WRAPPERS.build({**fit_precision_to_device(precision), 'optimizer': optimizer})
    rows = torch.tensor(index, device=arguments.device)
    sentences = [[sentence(seed, length) for seed in index] for length in (24, 24, 24, 30)]
    setup = Setup(model.train(), wrapper, batch, rows, model.images.identities[rows], sentences)
    fill_memories(setup, arguments)
    return setup


def sentence(seed: int, length: int) -> str:
    """Make up a caption of so many words."""
    return ' '.join(WORDS[(seed + 7 * word) % len(WORDS)] for word in range(length))


def fill_memories(setup: Setup, arguments: argparse.Namespace) -> None:
    """Give both memories the same random features, and the batch's images the features of their captions."""
    model, regions = setup.model, (arguments.images, 4, setup.model.backbone.embed_dim)
    captions = torch.randn(regions, device=arguments.device)
    with torch.no_grad(), setup.optimizer.optim_context(model):
        captions[setup.index] = encode_captions(setup).transpose(0, 1).float()
    images = functional.layer_norm(torch.randn(regions, device=arguments.device), regions[-1:])
    model.prepare_stage(MadeUp(images, captions))
    setup.image_list, setup.text_list = ([*bank.clone()] for bank in (model.memory.image, model.memory.text))


def our_loss(setup: Setup) -> Tensor:
    """Run the package's step up to its loss."""
    data = setup.model.data_preprocessor(setup.batch, True)
    return setup.model.parse_losses(setup.model(**data, mode='loss'))[0]


def tower(setup: Setup) -> Tensor:
    """Run the image tower alone."""
    features = setup.model.backbone.encode_image(setup.model.data_preprocessor(setup.batch)['inputs'])
    return features.shared_regions.sum() + features.width_regions.sum()


def train_step(setup: Setup, loss: Callable[[Setup], Tensor]) -> None:
    """Compute a loss, its gradients, and let the optimizer step (at rate 0, so that all rounds are alike)."""
    with setup.optimizer.optim_context(setup.model):
        value = loss(setup)
    setup.optimizer.update_params(value)


def without_gradients(setup: Setup, function: Callable[[Setup], Any]) -> None:
    """Run a part of a step that needs no gradients."""
    with torch.no_grad(), setup.optimizer.optim_context(setup.model):
        function(setup)


def part_functions(setup: Setup) -> dict[str, Callable[[], Any]]:
    """The two steps, and what they are made of."""
    parts = setup.model.memory.image[setup.index].transpose(0, 1)
    bank = setup.model.memory.image

    def sorts() -> None:
        leaf = parts.clone().requires_grad_()
        sorted_part_loss(leaf, bank, setup.index, setup.model.images.identities)[0].backward()

    return {
        'released step': partial(train_step, setup, released_loss),
        'our step': partial(train_step, setup, our_loss),
        'image tower, forward and backward': partial(train_step, setup, tower),
        'released: captions, 4 x 77 tokens': partial(without_gradients, setup, encode_captions),
        'released: prompts, 77 tokens': partial(without_gradients, setup, encode_prompts),
        'released: lists updated and stacked': lambda: stacked_memory(setup, parts, parts),
        'released: part loss by sorts': sorts,
    }


def main() -> None:
    """Compare, measure and print."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    setup = make_setup(arguments)
    where = device_name(arguments.threads, on_gpu=setup.index.is_cuda)
    size = f'{arguments.images:,} images, {arguments.identities:,} identities, batch {arguments.batch}'
    report(f'{arguments.model}, {size}, {arguments.amp or "float32"} on {where}, torch {torch.__version__}')
    with setup.optimizer.optim_context(setup.model):
        losses = [float(loss(setup).detach()) for loss in (released_loss, our_loss)]
    report(f'loss: released {losses[0]:.5f}, ours {losses[1]:.5f}')
    functions = part_functions(setup)
    if arguments.full:
        functions['our step, recipe full'] = partial(train_step, make_setup(arguments, full=True), our_loss)
    on_gpu = setup.index.is_cuda
    peaks = {name: peak_memory(functions[name], on_gpu=on_gpu)[0] for name in functions if 'step' in name}
    seconds = medians(in_turns(functions, arguments.rounds))
    for name, value in seconds.items():
        memory = f'{peaks[name]:>10.0f} MiB peak beside what stands' if name in peaks else ''
        report(f'{name:<38}{value * 1e3:>9.1f} ms{value / seconds["our step"]:>8.2f} x ours{memory}')
    outside = 1 - seconds['image tower, forward and backward'] / seconds['our step']
    report(f'our step outside the image tower: {100 * outside:.0f}%')


if __name__ == '__main__':
    main()
