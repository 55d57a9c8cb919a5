"""The same draws give the image of the CPU's transforms, and draws have the CPU's distribution."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision import transforms

from cmdg_plugin.datasets.transforms import AugMix, aug_mix
from cmdg_plugin.models.augmentation.steps import STEPS, ColorJitter, Crop, Flip, Grayscale, MixedCopies

JITTER: dict[str, Any] = dict(brightness=0.15, contrast=0.1, saturation=0.05, hue=0.05)
MIX: dict[str, Any] = dict(width=3, depth=1, severity=1, coefficient=0.1)
SIZE = (40, 28)
PIXELS = np.random.default_rng(0).integers(0, 256, (24, *SIZE, 3), dtype=np.uint8)
BATCH = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    state = random.getstate()
    random.seed(0)
    yield
    random.setstate(state)


def draw(step: Any, number: int, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    return [step.draw(rng, SIZE) for _ in range(number)]


def off_by(found: torch.Tensor, expected: list[np.ndarray]) -> np.ndarray:
    return np.abs(found.permute(0, 2, 3, 1).numpy().astype(int) - np.stack(expected).astype(int))


def test_jitter_of_the_same_factors_in_the_same_order() -> None:
    step = ColorJitter(0.7, **JITTER)
    drawn = draw(step, len(BATCH))
    assert 8 < sum(changes is not None for changes in drawn) < 24
    single = [transforms.functional.adjust_brightness, transforms.functional.adjust_contrast]
    single += [transforms.functional.adjust_saturation, transforms.functional.adjust_hue]
    expected = []
    for pixels, changes in zip(PIXELS, drawn, strict=True):
        image = Image.fromarray(pixels)
        for number, factor in changes or []:
            image = single[number](image, factor)
        expected.append(np.asarray(image))
    assert off_by(step.apply(BATCH, drawn), expected).max() == 0


@pytest.mark.parametrize('settings', [MIX, dict(width=2, depth=-1, severity=10, coefficient=1.0)])
def test_aug_mix_of_the_same_weights_and_changes(settings: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's class is told what was drawn, in the order in which it asks."""
    step = MixedCopies(0.8, **settings)
    drawn = draw(step, len(BATCH))
    expected = []
    for pixels, what in zip(PIXELS, drawn, strict=True):
        if what is None:
            expected.append(pixels)
            continue
        weights, copies = what
        share = 1 - weights[0]
        monkeypatch.setattr(aug_mix, 'random', Told(share, [w / share for w in weights[1:]], copies))
        expected.append(AugMix(**settings).transform({'img': pixels})['img'])
    off = off_by(step.apply(BATCH, drawn), expected)
    assert (off > 0).mean() < 0.03
    # Changes upon changes may spread a level that another one rounded otherwise.
    assert off.max() <= (1 if step.mix.depth == 1 else 16)


class Told:
    """Stands for Python's `random` in AugMix and gives what was drawn elsewhere."""

    def __init__(self, share: float, parts: list[float], copies: list[list[tuple]]) -> None:
        self.share = share
        self.parts = iter(parts)
        self.depths = iter([len(copy) for copy in copies])
        changes = [change for copy in copies for change in copy]
        self.levels = iter([level for _, level, _ in changes])
        self.names = iter([name for name, _, _ in changes])
        self.signs = {name: iter([]) for name in aug_mix.OPERATIONS}
        self.queue = [sign for name, _, sign in changes if name.startswith(('rotate', 'shear', 'translate'))]

    def betavariate(self, *_: float) -> float:
        return self.share

    def gammavariate(self, *_: float) -> float:
        return next(self.parts)

    def randint(self, *_: int) -> int:
        return next(self.depths)

    def uniform(self, *_: float) -> float:
        return next(self.levels) * 10

    def choice(self, _: list) -> Callable:
        return aug_mix.OPERATIONS[next(self.names)]

    def random(self) -> float:
        return 0.0 if self.queue.pop(0) < 0 else 1.0


def test_gray_flip_and_crop_change_whom_they_name() -> None:
    drawn = [True if number % 3 == 0 else None for number in range(len(BATCH))]
    gray = [np.asarray(Image.fromarray(p).convert('L').convert('RGB')) if d else p for p, d in zip(PIXELS, drawn)]  # noqa: B905
    assert off_by(Grayscale(0.1).apply(BATCH, drawn), gray).max() == 0
    mirrored = [pixels[:, ::-1] if what else pixels for pixels, what in zip(PIXELS, drawn, strict=True)]
    assert off_by(Flip(0.4).apply(BATCH, drawn), mirrored).max() == 0
    windows = draw(Crop(10, SIZE), len(BATCH))
    padded = np.pad(PIXELS, ((0, 0), (10, 10), (10, 10), (0, 0)))
    cropped = [pixels[y : y + 40, x : x + 28] for pixels, (y, x) in zip(padded, windows, strict=True)]
    assert off_by(Crop(10, SIZE).apply(BATCH, windows), cropped).max() == 0
    assert Grayscale(0.0).apply(BATCH, [None] * len(BATCH)) is BATCH


# ------------------------------------------------------------------ distributions, against the CPU's own draws

NUMBER = 4000
LIKELY = 1e-3  # the draws are seeded: this is how surprising they may be


def test_steps_are_taken_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {'grayscale': {'prob': 0.1}, 'flip': {'prob': 0.4}, 'color_jitter': {'prob': 0.1, **JITTER}}
    for name, settings in {**steps, 'aug_mix': {'prob': 0.6, **MIX}}.items():
        times = sum(what is not None for what in draw(STEPS[name](**settings), NUMBER))
        assert stats.binomtest(times, NUMBER, settings['prob']).pvalue > LIKELY, name


def test_windows_begin_anywhere_alike() -> None:
    windows = np.array(draw(Crop(10, SIZE), NUMBER))
    image = Image.new('RGB', (SIZE[1] + 20, SIZE[0] + 20))
    theirs = np.array([transforms.RandomCrop.get_params(image, SIZE)[:2] for _ in range(NUMBER)])
    for axis in (0, 1):
        counts = [np.bincount(which[:, axis], minlength=21) for which in (windows, theirs)]
        assert len(counts[0]) == len(counts[1]) == 21
        assert stats.chi2_contingency(counts).pvalue > LIKELY


def test_jitter_draws_orders_and_factors_as_torchvision() -> None:
    drawn = draw(ColorJitter(1.0, **JITTER), NUMBER)
    torch.manual_seed(0)
    reference = transforms.ColorJitter(**JITTER)
    ranges = (reference.brightness, reference.contrast, reference.saturation, reference.hue)
    theirs = [transforms.ColorJitter.get_params(*ranges) for _ in range(NUMBER)]
    orders = [[tuple(number for number, _ in changes) for changes in drawn]]
    orders.append([tuple(order.tolist()) for order, *_ in theirs])
    kinds = sorted(set(orders[0]))
    assert len(kinds) == 24
    assert stats.chi2_contingency([[order.count(kind) for kind in kinds] for order in orders]).pvalue > LIKELY
    for number in range(4):
        mine = [dict(changes)[number] for changes in drawn]
        assert stats.ks_2samp(mine, [factors[number] for _, *factors in theirs]).pvalue > LIKELY


def test_aug_mix_draws_as_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list] = {'names': [], 'levels': [], 'shares': []}
    for name in aug_mix.OPERATIONS:

        def note(image: Image.Image, level: float, name: str = name) -> Image.Image:
            seen['names'].append(name)
            seen['levels'].append(level)
            return image

        monkeypatch.setitem(aug_mix.OPERATIONS, name, note)
    mix = AugMix(**MIX)
    weights = []
    for _ in range(NUMBER):
        share = random.betavariate(0.1, 0.1)
        seen['shares'].append(share)
        weights.append(mix._draw_weights())
        mix._change(Image.new('RGB', (1, 1)))
    drawn = draw(MixedCopies(1.0, **MIX), NUMBER)
    changes = [copies[0][0] for _, copies in drawn]
    names = [[name for name, _, _ in changes], seen['names']]
    table = [[which.count(name) for name in aug_mix.OPERATIONS] for which in names]
    assert stats.chi2_contingency(table).pvalue > LIKELY
    assert stats.ks_2samp([level for _, level, _ in changes], seen['levels']).pvalue > LIKELY
    assert stats.binomtest(sum(sign < 0 for _, _, sign in changes), NUMBER).pvalue > LIKELY
    assert stats.ks_2samp([1 - weights[0] for weights, _ in drawn], seen['shares']).pvalue > LIKELY
    for copy in range(3):
        mine = [parts[1 + copy] / max(sum(parts[1:]), 1e-300) for parts, _ in drawn]
        assert stats.ks_2samp(mine, [row[copy] for row in weights]).pvalue > LIKELY


def test_depth_is_drawn_where_none_is_given() -> None:
    depths = [len(copy) for _, copies in draw(MixedCopies(width=2, depth=0), 600) for copy in copies]
    assert sorted(set(depths)) == [1, 2, 3]
    assert stats.chisquare(np.bincount(depths)[1:]).pvalue > LIKELY


def test_a_window_larger_than_the_image() -> None:
    with pytest.raises(ValueError, match=r'A crop of \(60, 28\) with padding 5 does not fit into images of \(40, 28\)'):
        draw(Crop(5, (60, 28)), 1)
