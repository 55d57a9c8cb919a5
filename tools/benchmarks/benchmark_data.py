"""Images per second and worker of our training pipeline beside a plain Pillow and torchvision one.

    python tools/benchmarks/benchmark_data.py [--config CONFIG] [--width 64 --height 128]

    python tools/benchmarks/benchmark_data.py --options

Both do the same augmentations on the same made-up JPEG files and collate batches, in turns in one process with one
thread, as a dataloader's worker does; seconds are of processor time. The plain one normalizes each image there; ours
leaves that to the device. What is left is named: the share of every transform of both. With `--options`, ours stands
beside itself with the image cache, without augmentation, and with both; augmentation for a whole batch is timed, too.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import in_turns, medians, report
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import FUNCTIONS, DefaultScope
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import default_collate
from torchvision import transforms

from cmdg_plugin.datasets.image_cache import ImageCache, ImageCacheSettings
from cmdg_plugin.datasets.transforms import AugMix
from cmdg_plugin.models.augmentation import BatchAugmentation, split_pipeline

Step = Callable[[Any], Any]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time the training pipeline against plain Pillow and torchvision.')
    parser.add_argument('--config', default='configs/cmdg/cmdg_vit-base-p16_p1.py', help='whose training pipeline')
    parser.add_argument('--width', type=int, default=64, help='of the image files (default: 64, as Market-1501)')
    parser.add_argument('--height', type=int, default=128)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=10, help='batches of each')
    parser.add_argument('--options', action='store_true', help='time image cache and batched augmentation instead')
    return parser.parse_args()


def write_images(folder: Path, count: int, size: tuple[int, int]) -> list[dict]:
    """Write smooth random JPEG files; returns a sample for each."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (16, 8, 3), dtype=np.uint8))
        path = folder / f'{number}.jpg'
        coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        fields = {'gt_label': number, 'camera': 0, 'domain': 0, 'image_index': number, 'captions': ('a',) * 4}
        samples.append({'img_path': str(path), **fields})
    return samples


def plain_steps(size: tuple[int, int]) -> list[tuple[str, Step]]:
    """The augmentations of the released recipe as one would write them down, step by step.

    Args:
        size: Height and width of what the model sees.
    """
    mix = AugMix(width=3, depth=1, severity=1, coefficient=0.1)
    jitter = transforms.ColorJitter(0.15, 0.1, 0.05, 0.05)

    def augment(image: Image.Image) -> Image.Image:
        return Image.fromarray(mix.transform({'img': np.asarray(image)})['img'])

    def load(sample: dict) -> Image.Image:
        with Image.open(sample['img_path']) as image:
            return image.convert('RGB')

    def normalize(image: Tensor) -> Tensor:
        return nn.functional.instance_norm(image[None])[0]

    return [
        ('load', load),
        ('resize', transforms.Resize(size, interpolation=transforms.InterpolationMode.BICUBIC)),
        ('grayscale', transforms.RandomGrayscale(0.1)),
        ('crop', transforms.RandomCrop(size, padding=10)),
        ('flip', transforms.RandomHorizontalFlip(0.4)),
        ('jitter', transforms.RandomApply([jitter], p=0.1)),
        ('AugMix', transforms.RandomApply([augment], p=0.6)),
        ('to tensor', transforms.ToTensor()),
        ('instance norm', normalize),
    ]


def name_of(step: Any) -> str:
    """Name a registered transform; one that wraps others is called after what it wraps."""
    if hasattr(step, 't'):
        return type(step.t).__name__
    inner = getattr(step, 'transforms', None)
    return type(step).__name__ if inner is None else ' + '.join(name_of(item) for item in inner)


def run(steps: Sequence[tuple[str, Step]], samples: Sequence[dict], seconds: dict[str, float]) -> list[Any]:
    """Pass samples through the steps and add up what each takes."""
    outputs = []
    for sample in samples:
        value: Any = dict(sample)
        for name, step in steps:
            start = time.process_time()
            value = step(value)
            seconds[name] = seconds.get(name, 0) + time.process_time() - start
        outputs.append(value)
    return outputs


def seed(number: int) -> None:
    """Seed all random numbers that transforms draw."""
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  (the transforms draw from it)
    torch.manual_seed(number)


def with_fields(steps: Sequence[tuple[str, Step]], samples: Sequence[dict]) -> list[dict]:
    """The plain pipeline's samples, with the same fields as ours."""
    fields = ('gt_label', 'camera', 'domain', 'image_index', 'captions')
    images = run(steps, samples, {})
    return [
        {'inputs': image, **{field: sample[field] for field in fields}}
        for image, sample in zip(images, samples, strict=True)
    ]


def report_shares(title: str, steps: Sequence[tuple[str, Step]], samples: Sequence[dict]) -> None:
    """Say how long each step takes for an image on average."""
    seconds: dict[str, float] = {}
    seed(0)
    for _ in range(4):
        run(steps, samples, seconds)
    total = sum(seconds.values())
    report(f'{title}: {total / len(samples) / 4 * 1e3:.2f} ms an image')
    for name, spent in seconds.items():
        report(f'  {name:<28}{spent / len(samples) / 4 * 1e3:>8.3f} ms{100 * spent / total:>7.1f}%')


def time_options(pipeline: Compose, collate: Step, samples: Sequence[dict], folder: Path, rounds: int) -> None:
    """Time a worker with and without the image cache, and augmentation in it and for a batch at a time.

    Args:
        pipeline: The training pipeline.
        collate: Makes a batch of samples.
        samples: A batch of them, with their files.
        folder: Where caches are made.
        rounds: How many batches of each.
    """
    stay, steps = split_pipeline(pipeline.transforms)
    paths = [sample['img_path'] for sample in samples]
    pipelines = {'files, augmented in the worker': pipeline, 'files, not augmented': Compose(stay)}
    for resolution in ('source', 'input'):
        cache = ImageCache(ImageCacheSettings(str(folder / resolution), resolution), pipeline, paths)
        pipelines[f'cache ({resolution}), augmented in the worker'] = cache.serve(pipeline)
        pipelines[f'cache ({resolution}), not augmented'] = cache.serve(Compose(stay))

    def batch_of(transforms: Step) -> dict:
        return collate([transforms(dict(sample)) for sample in samples])

    works: dict[str, Callable[[], object]] = {
        name: partial(batch_of, transforms) for name, transforms in pipelines.items()
    }
    batch = batch_of(pipelines['files, not augmented'])['inputs'].flip(1)
    augmentation = BatchAugmentation(steps)
    augmentation.start_epoch(0, 0)
    positions = [sample['image_index'] for sample in samples]
    size = (batch.shape[-2], batch.shape[-1])
    works['batched augmentation alone, on the CPU'] = lambda: augmentation(batch, positions)
    works['its draws alone'] = lambda: augmentation.draw(positions, size)

    def begin(turn: int) -> None:
        seed(turn)
        augmentation.start_epoch(0, turn)

    times = medians(in_turns(works, rounds, clock=time.process_time, before=begin))
    spent = {name: seconds / len(samples) * 1e3 for name, seconds in times.items()}
    first = spent['files, augmented in the worker']
    report(f'{"median of rounds":<44}{"ms an image":>12}{"images/s":>10}{"times the first":>17}')
    for name, milliseconds in spent.items():
        report(f'{name:<44}{milliseconds:>12.3f}{1e3 / milliseconds:>10.0f}{first / milliseconds:>17.2f}')
    drawn = first - spent['files, not augmented']
    batched = spent['batched augmentation alone, on the CPU']
    report(
        f'augmentation: {drawn:.3f} ms an image in the pipeline, {batched:.3f} ms batched: {drawn / batched:.2f} times'
    )


def main() -> None:
    """Time both in turns, then name what is left."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    config = Config.fromfile(arguments.config)
    DefaultScope.get_instance('benchmark', scope_name=config.get('default_scope', 'cmdg_plugin'))
    pipeline = Compose(config.train_dataloader.dataset.pipeline)
    collate = FUNCTIONS.get(config.train_dataloader.collate_fn.type)
    ours = [(name_of(step), step) for step in pipeline.transforms]
    with tempfile.TemporaryDirectory() as folder:
        samples = write_images(Path(folder), arguments.batch, (arguments.width, arguments.height))
        if arguments.options:
            time_options(pipeline, collate, samples, Path(folder), arguments.rounds)
            return
        height, width = pipeline(dict(samples[0]))['inputs'].shape[1:]
        plain = plain_steps((height, width))
        report(f'files of {arguments.width}x{arguments.height} pixels to {width}x{height}, batches of {len(samples)}')
        works = {
            'plain': lambda: default_collate(with_fields(plain, samples)),
            'ours': lambda: collate([pipeline(dict(sample)) for sample in samples]),
        }
        times = in_turns(works, arguments.rounds, clock=time.process_time, before=seed)
        rates = {name: [len(samples) / spent for spent in spents] for name, spents in times.items()}
        for name, rate in rates.items():
            report(f'{name:<6}{statistics.median(rate):>8.0f} images/s (median; best {max(rate):.0f})')
        ratio = statistics.median(a / b for a, b in zip(rates['ours'], rates['plain'], strict=True))
        best = max(rates['ours']) / max(rates['plain'])
        report(f'ours / plain: {ratio:.2f} (median of rounds), {best:.2f} (best of each)')
        report_shares('ours', ours, samples)
        report_shares('plain', plain, samples)


if __name__ == '__main__':
    main()
