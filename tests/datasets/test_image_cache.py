import copy
import multiprocessing
import os
import pickle
import random
import re
import resource
import signal
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.damaged_images import spoil
from helpers.tiny_runs import different, train
from mmengine.config import Config
from torch.utils.data import DataLoader
from tqdm import tqdm

from cmdg_plugin.datasets import CaptionedReIDDataset, image_cache

LOAD = {'type': 'LoadImageFromFile', 'imdecode_backend': 'pillow'}
RESIZE = {'type': 'mmpretrain.Resize', 'scale': (12, 20), 'interpolation': 'bicubic', 'backend': 'pillow'}
FLIP = {'type': 'mmpretrain.RandomFlip', 'prob': 0.5}
PLAIN = [LOAD, RESIZE]
RESOLUTIONS = pytest.mark.parametrize('resolution', ['input', 'source'])


@pytest.fixture
def sources(market_like: Callable[..., dict]) -> list[dict]:
    return [market_like('shop', [7, 3, 11, 5]), market_like('yard', [3, 4], cameras=3, images=1)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / 'cache' / 'shop.images'


def cached(sources: list[dict], file: Path, pipeline: list = PLAIN, **settings: Any) -> CaptionedReIDDataset:
    return CaptionedReIDDataset(sources, pipeline, image_cache={'file': str(file), **settings})


def samples(dataset: CaptionedReIDDataset) -> list[dict]:
    random.seed(0)
    np.random.seed(0)
    return [dataset[position] for position in range(len(dataset))]


def check_same(found: list[dict], expected: list[dict]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert one['img'].dtype == other['img'].dtype
        assert np.array_equal(one.pop('img'), other.pop('img'))
        assert one == other


@RESOLUTIONS
@pytest.mark.parametrize('pipeline', [PLAIN, [*PLAIN, FLIP]])
def test_every_field_is_what_the_files_give(sources: list, file: Path, pipeline: list, resolution: str) -> None:
    expected = samples(CaptionedReIDDataset(sources, pipeline))
    for _ in range(2):  # made, then found
        check_same(samples(cached(sources, file, pipeline, resolution=resolution)), copy.deepcopy(expected))
    assert sorted(os.listdir(file.parent)) == ['shop.images', 'shop.images.lock']


def rewrite_unseen(path: str) -> None:
    """Spoil a file without a trace in its size and times."""
    status = os.stat(path)
    Path(path).write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_files_are_not_read_again_by_workers_copies_and_other_views(sources: list, file: Path) -> None:
    expected = samples(CaptionedReIDDataset(sources, PLAIN))
    dataset = cached(sources, file, [*PLAIN, FLIP])
    for sample in expected:
        rewrite_unseen(sample['img_path'])
    view = cached(sources, file).with_pipeline(PLAIN)
    loader = DataLoader(view, batch_size=None, num_workers=2, collate_fn=dict)
    for other in (list(loader), samples(pickle.loads(pickle.dumps(view))), samples(dataset.with_pipeline(PLAIN))):
        check_same(other, copy.deepcopy(expected))


def test_a_view_that_reads_otherwise_reads_files_and_says_so(
    sources: list, file: Path, log: pytest.LogCaptureFixture
) -> None:
    other = [LOAD, {**RESIZE, 'scale': (6, 10)}]
    check_same(samples(cached(sources, file).with_pipeline(other)), samples(CaptionedReIDDataset(sources, other)))
    assert 'read the files: the image cache' in log.text
    log.clear()
    view = cached(sources, file.with_name('source'), resolution='source').with_pipeline(other)
    check_same(samples(view), samples(CaptionedReIDDataset(sources, other)))
    assert 'read the files' not in log.text


@RESOLUTIONS
def test_training_gives_the_same_bits(tiny_config: Config, tmp_path: Path, resolution: str) -> None:
    weights = []
    for settings in (None, {'file': str(tmp_path / 'a.images'), 'resolution': resolution}):
        config = copy.deepcopy(tiny_config)
        config.train_dataloader.dataset.image_cache = settings
        weights.append(train(config, name=str(len(weights))).model.state_dict())
    assert (tmp_path / 'a.images').exists()
    assert not different(*weights)


def test_part_of_the_images_and_another_order_will_do(sources: list, file: Path) -> None:
    cached(sources, file)
    check_same(samples(cached(sources[::-1], file)), samples(CaptionedReIDDataset(sources[::-1], PLAIN)))
    check_same(samples(cached(sources[1:], file)), samples(CaptionedReIDDataset(sources[1:], PLAIN)))


def test_a_file_in_the_home_folder(sources: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    cached(sources, Path('~/a.images'))
    assert (tmp_path / 'a.images').is_file()


def test_other_images_are_refused(sources: list, file: Path) -> None:
    cached(sources[1:], file)
    with pytest.raises(ValueError, match=r'of other images: 8 of 11 are not among its 3, the first is .*shop.* Delete'):
        cached(sources, file)


@pytest.mark.parametrize('change', ['size', 'time', 'gone'])
def test_changed_images_are_refused(sources: list, file: Path, change: str) -> None:
    path = cached(sources, file).get_data_info(4)['img_path']
    if change == 'time':
        os.utime(path, ns=(1, 1))
    else:
        spoil(path, 'garbage' if change == 'size' else 'gone')
    with pytest.raises(ValueError, match=rf'1 of 11 images have changed.*{re.escape(path)}\. Delete it'):
        image_cache.ImageCache(*_again(sources, file))


def test_images_from_the_far_future_are_cached(sources: list, file: Path) -> None:
    path = cached(sources, file).get_data_info(4)['img_path']
    file.unlink()
    os.utime(path, (12 * 10**9, 12 * 10**9))  # the year 2350: more nanoseconds than 64 bits hold
    for _ in range(2):  # made, and read
        assert len(cached(sources, file)) == 11


def _again(sources: list, file: Path) -> tuple:
    """What a dataset hands to a cache; indexing again would find the missing image first."""
    plain = CaptionedReIDDataset(sources[1:], PLAIN)
    root = Path(sources[0]['root']) / 'bounding_box_train'
    listed = [f'{root}/{person:04d}_c{c}s1_{f:06d}_00.jpg' for person in (7, 3) for c in (1, 2) for f in (0, 1)]
    paths = [*listed, *(plain.get_data_info(row)['img_path'] for row in range(3))]
    return image_cache.ImageCacheSettings(str(file)), plain.pipeline, paths


def test_other_settings_are_refused(sources: list, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(sources, file)
    with pytest.raises(
        ValueError, match=r'made otherwise \(steps: .*\(12, 20\).* there, .*\(6, 10\).* here\)\. Delete'
    ):
        cached(sources, file, [LOAD, {**RESIZE, 'scale': (6, 10)}])
    with pytest.raises(ValueError, match=r'made otherwise \(steps'):
        cached(sources, file, resolution='source')
    monkeypatch.setattr(image_cache, 'READING_VERSION', 0)
    with pytest.raises(ValueError, match=r'made otherwise \(reading: 1 there, 0 here\)'):
        cached(sources, file)
    monkeypatch.setattr(image_cache.PIL, '__version__', '0.1')
    with pytest.raises(ValueError, match=r'pillow: .* there, 0\.1, libjpeg'):
        cached(sources, file)


@pytest.mark.parametrize('content', [b'', b'x' * 1000])
def test_something_else_under_that_name_is_refused_and_left_alone(sources: list, file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r'shop\.images is not a file of decoded images'):
        cached(sources, file)
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ('pipeline', 'settings', 'message'),
    [
        ([FLIP, LOAD], {}, 'begins with LoadImageFromFile of color bytes'),
        ([{**LOAD, 'to_float32': True}, RESIZE], {}, 'color bytes'),
        ([{**LOAD, 'backend_args': {'backend': 'local'}}, RESIZE], {}, 'files of this machine'),
        ([LOAD, FLIP], {}, "'input' needs a Resize to one scale right after"),
        ([LOAD], {}, "'source' keeps images as their files"),
        ([LOAD, {**RESIZE, 'keep_ratio': True}], {}, "'input' needs a Resize"),
        (PLAIN, {'resolution': 'half'}, "'input' or 'source', got 'half'"),
    ],
)
def test_what_cannot_be_cached_is_named(
    sources: list, file: Path, pipeline: list, settings: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cached(sources, file, pipeline, **settings)
    assert not file.exists()


def test_the_index_alone_needs_no_cache(sources: list, file: Path) -> None:
    assert len(cached(sources, file, [])) == 11
    assert not file.parent.exists()


def test_unreadable_images_fail_or_are_replaced_as_without(
    sources: list, file: Path, log: pytest.LogCaptureFixture
) -> None:
    path = CaptionedReIDDataset(sources).get_data_info(1)['img_path']
    spoil(path, 'truncated')
    with pytest.raises(ValueError, match="on_corrupt='skip'"):
        cached(sources, file)[1]
    assert '1 of 11 images cannot be read' in log.text
    settings: dict[str, Any] = {'image_cache': str(file), 'on_corrupt': 'skip'}
    forgiving = CaptionedReIDDataset(sources, PLAIN, **settings)
    assert forgiving[1]['image_index'] == 2
    assert forgiving.num_corrupt == 1


# ------------------------------------------------------------------ room, kill, several at once


def own_bar() -> None:
    """Let a fork have its own lock of tqdm's: one that is killed may hold the one that all forks share."""
    tqdm.set_lock(threading.RLock())


Usage = namedtuple('Usage', 'total used free')


def test_too_little_disk_is_said_before_the_work(
    sources: list, file: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(image_cache.shutil, 'disk_usage', lambda folder: Usage(9999, 0, 9000))
    with pytest.raises(ValueError, match=r'needs 12\.3kB, and 9\.00kB are free on its disk\. Name a file on another'):
        cached(sources, file)
    assert 'Decoding' not in log.text
    assert not file.exists()


def test_too_little_memory_is_said_before_the_work(sources: list, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_cache, 'free_memory', lambda: 9000)
    with pytest.raises(ValueError, match=r'needs 12\.3kB of memory, and 9\.00kB are free\. .*larger_than_memory=True'):
        cached(sources, file)
    assert not file.exists()
    cached(sources, file, larger_than_memory=True)
    with pytest.raises(ValueError, match='of memory, and'):
        cached(sources, file)


def test_a_folder_that_cannot_be_written(sources: list, tmp_path: Path) -> None:
    (tmp_path / 'occupied').touch()
    with pytest.raises(OSError, match=r'cannot be made \(.*Name a file on a disk with room, in a folder that you may'):
        cached(sources, tmp_path / 'occupied' / 'a.images')


def test_a_disk_that_fills_up(sources: list, file: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(OSError, match=r'cannot be made \(.*too large.*Name a file on a disk with room'):
            cached(sources, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(file.parent) == ['shop.images.lock']
    cached(sources, file)


def test_a_killed_process_leaves_no_half_file(sources: list, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = image_cache.decode_images

    def die_amid(*arguments: Any) -> Iterator:
        for row, image in enumerate(decode(*arguments)):
            if row == 6:
                os.kill(os.getpid(), signal.SIGKILL)
            yield image

    child = os.fork()
    if child == 0:
        own_bar()
        monkeypatch.setattr(image_cache, 'decode_images', die_amid)
        cached(sources, file)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [name for name in os.listdir(file.parent) if name.endswith('.unfinished')]
    check_same(samples(cached(sources, file)), samples(CaptionedReIDDataset(sources, PLAIN)))
    assert sorted(os.listdir(file.parent)) == ['shop.images', 'shop.images.lock']


def test_several_processes_make_it_once(sources: list, file: Path, tmp_path: Path) -> None:
    decode = image_cache.decode_images

    def work(number: int) -> None:
        def noting(*arguments: Any) -> Iterator:
            (tmp_path / f'made_{number}').touch()
            yield from decode(*arguments)

        own_bar()
        pytest.MonkeyPatch().setattr(image_cache, 'decode_images', noting)
        check_same(samples(cached(sources, file)), samples(CaptionedReIDDataset(sources, PLAIN)))

    processes = [multiprocessing.get_context('fork').Process(target=work, args=(number,)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(list(tmp_path.glob('made_*'))) == 1
