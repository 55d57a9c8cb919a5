from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.islands import write_clip
from cmdg_plugin.islands.cameras import Camera, at_a_moment, expose
from cmdg_plugin.islands.clips import CLIP_SIZE, Sighting, _detect, _draw_frame, _sample_strangers
from cmdg_plugin.islands.people import sample_person
from cmdg_plugin.islands.planning import plan_domain
from cmdg_plugin.islands.walking import Walker


@pytest.fixture(scope='module')
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp('clips') / 'metro', 'metro', 4, num_people=4, num_frames=40)


def standing(identity: int, x: float, soles: float = 480.0) -> Walker:
    return Walker(identity, sample_person(np.random.default_rng(identity)), np.full(3, x), soles, 200, 0.0, 0.5, 1)


def test_a_clip_lies_where_trackers_look(clip: Path) -> None:
    names = sorted(path.name for path in (clip / 'img1').iterdir())
    assert names == [f'{number:06d}.jpg' for number in range(1, 41)]
    assert Image.open(clip / 'img1/000001.jpg').size == CLIP_SIZE
    assert 'seqLength=40\nimWidth=1280\nimHeight=512' in (clip / 'seqinfo.ini').read_text()
    truth = np.loadtxt(clip / 'gt/gt.txt', delimiter=',')
    assert truth.shape[1] == 9
    assert set(truth[:, 1]) <= {1, 2, 3, 4}
    assert ((truth[:, 8] >= 0.2) == truth[:, 6].astype(bool)).all()
    lefts, tops, rights, bottoms = truth[:, 2], truth[:, 3], truth[:, 2] + truth[:, 4], truth[:, 3] + truth[:, 5]
    assert min(lefts.min(), tops.min()) >= 0
    assert rights.max() <= CLIP_SIZE[0]
    assert bottoms.max() <= CLIP_SIZE[1]


def test_detections_are_of_those_who_are_seen_and_near_the_truth(clip: Path) -> None:
    truth = {(row[0], row[1]): row for row in np.loadtxt(clip / 'gt/gt.txt', delimiter=',')}
    detections = np.loadtxt(clip / 'det/det.txt', delimiter=',')
    identities = np.loadtxt(clip / 'det/identities.txt', dtype=int)
    assert len(detections) == len(identities)
    for row, identity in zip(detections, identities, strict=True):
        real = truth[row[0], identity]
        assert row[1] == -1
        assert real[8] >= 0.25
        assert np.abs(row[2:6] - real[2:6]).max() < 0.12 * real[5]
    seen = sum(row[8] >= 0.25 for row in truth.values())
    assert 0.9 * seen < len(detections) < seen, 'some are missed'


def test_the_same_seed_draws_the_same_clip(clip: Path, tmp_path: Path) -> None:
    again = write_clip(tmp_path / 'again', 'metro', 4, num_people=4, num_frames=40)
    other = write_clip(tmp_path / 'other', 'metro', 5, num_people=4, num_frames=2)
    for name in ('gt/gt.txt', 'det/det.txt', 'img1/000030.jpg'):
        assert (again / name).read_bytes() == (clip / name).read_bytes()
    assert (other / 'img1/000001.jpg').read_bytes() != (clip / 'img1/000001.jpg').read_bytes()


def test_boxes_hold_the_people_and_nothing_else() -> None:
    scene = Image.new('RGB', CLIP_SIZE, (255, 0, 255))
    picture, (sighting,) = _draw_frame(scene, [standing(1, 300.0)], 0)
    changed = (np.asarray(picture) != np.asarray(scene)).any(axis=2)
    changed[478:] = False  # the shadow, and the soles upon it
    rows, columns = np.nonzero(changed)
    left, top, wide, high = sighting.box
    assert left <= columns.min()
    assert columns.max() < left + wide
    assert 0 < rows.min() - top < 0.05 * high
    assert wide == pytest.approx(0.41 * high, abs=1)
    assert left + wide / 2 == pytest.approx(300, abs=12)
    assert top + high == pytest.approx(480 + 0.03 * 200, abs=6)
    assert (sighting.in_view, sighting.visible) == (1, 1)


def test_who_stands_before_whom() -> None:
    scene = Image.new('RGB', CLIP_SIZE)
    apart = _draw_frame(scene, [standing(1, 300.0), standing(2, 600.0)], 0)[1]
    assert [sighting.visible for sighting in apart] == [1, 1]
    behind, before = _draw_frame(scene, [standing(1, 300.0), standing(2, 305.0, soles=484)], 0)[1]
    assert before.visible == 1
    assert behind.visible < 0.4
    assert behind.in_view == 1


def test_who_leaves_the_frame() -> None:
    scene = Image.new('RGB', CLIP_SIZE)
    (half,) = _draw_frame(scene, [standing(1, 1280.0)], 0)[1]
    assert half.in_view == pytest.approx(0.5, abs=0.15)
    assert half.visible == pytest.approx(half.in_view)
    assert half.box[0] + half.box[2] == 1280
    assert _draw_frame(scene, [standing(1, 1400.0), standing(2, -90.0)], 0)[1] == []


def test_hidden_people_are_not_detected() -> None:
    rng = np.random.default_rng(0)
    hidden, seen = (Sighting(1, (100, 100, 80, 200), 1.0, visible) for visible in (0.24, 0.9))
    assert [_detect(hidden, rng) for _ in range(50)] == [None] * 50
    found = [_detect(seen, rng) for _ in range(200)]
    boxes = np.array([result[0] for result in found if result])
    assert 180 < len(boxes) < 200
    assert boxes.mean(axis=0) == pytest.approx([100, 100, 80, 200], rel=0.01)


def test_nobody_was_in_training() -> None:
    crowd = _sample_strangers(60, np.random.default_rng(0))
    trained = {shot.person.look for name in ('harbor', 'campus') for shot in plan_domain(name, 0) if shot.person}
    assert len({person.look for person in crowd}) == 60
    assert not trained & {person.look for person in crowd}


def test_one_light_for_all_frames() -> None:
    """The benchmark's pictures are taken on other days; a clip is one moment's."""
    lens = at_a_moment(Camera('hall', noise=4.0, size=(40, 16)), np.random.default_rng(0))
    scene = Image.new('RGB', (80, 32), (120, 100, 80))
    first, second = (np.asarray(expose(scene, lens, np.random.default_rng(seed)), dtype=float) for seed in (1, 2))
    assert not np.array_equal(first, second)
    assert np.abs(first.mean(axis=(0, 1)) - second.mean(axis=(0, 1))).max() < 1


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    (tmp_path / 'mine.txt').touch()
    with pytest.raises(FileExistsError, match='not empty'):
        write_clip(tmp_path, 'metro')
    for domain, options, message in (
        ('moon', {}, "no domain 'moon'"),
        ('alpine', {'camera': 3}, 'cameras 1 to 2, not 3'),
        ('metro', {'num_people': 0}, 'num_people must be at least 1, got 0'),
        ('metro', {'num_frames': 1}, 'num_frames must be at least 2, got 1'),
        ('metro', {'seed': -1}, 'seed must be at least 0, got -1'),
    ):
        with pytest.raises(ValueError, match=message):
            write_clip(tmp_path / 'clip', domain, **options)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']
