import pytest

from cmdg_plugin.datasets.caption_fields import (
    FieldError,
    clean_captions,
    clean_path,
    read_facts,
    show,
)


@pytest.mark.parametrize(
    ('path', 'identity', 'camera', 'split'),
    [
        ('bounding_box_train/0002_c1s1_000451_03.jpg', 2, 1, 'train'),
        ('Market/bounding_box_test/-1_c3s2_000451_03.jpg', -1, 3, 'gallery'),
        ('query/0005_c2_f0046985.jpg', 5, 2, 'query'),
        ('train/0012_c3_000151.jpg', 12, 3, 'train'),
        ('val/12_c3.png', 12, 3, 'val'),
        ('gallery/0012_000151.jpg', 12, None, 'gallery'),
        ('gallery/12.jpg', 12, None, 'gallery'),
        ('train/0012_cat.jpg', 12, None, 'train'),
        ('train/0012_C3_x.jpg', 12, 3, 'train'),
        ('train/0012_cam3.jpg', 12, 3, 'train'),
        ('train/0012_Cam_03_x.jpg', 12, 3, 'train'),
        ('train/0012_camera3.jpg', 12, 3, 'train'),
        ('train/0012_c_3.jpg', 12, None, 'train'),
        ('train/0012cat.jpg', None, None, None),
        ('train/anna_c1.jpg', None, None, None),
        ('cuhk02/P5/cam2/001_01.png', None, 2 * 5 + 2 - 3, None),
        ('cam2/001_01.png', None, None, None),
        ('images_detected/3_001_2_01.png', None, 2 * 3 + 2 - 3, None),
        ('0012_c3_000151.jpg', None, None, None),
        ('elsewhere/0012_c3_000151.jpg', None, None, None),
        # MSMT17 and VIPeR use two of the folder names, and name images in their own ways.
        ('train/0000/0000_000_01_0303morning_0008_0.jpg', None, 1, None),
        ('split_1a/train/p336_c2_d180.png', None, None, None),
    ],
)
def test_facts_of_names(path: str, identity: int | None, camera: int | None, split: str | None) -> None:
    assert read_facts({}, path) == (identity, camera, split)


def test_keys_win_over_names() -> None:
    facts = read_facts({'identity': 7, 'camera': 8, 'role': 'query'}, 'train/0012_c3_000151.jpg')
    assert facts == (7, 8, 'query')
    assert read_facts({'split': 'Val ', 'role': 'val'}, 'a.jpg')[2] == 'val'
    with pytest.raises(FieldError) as caught:
        read_facts({'role': 'test'}, 'a.jpg')
    assert caught.value.key == 'role'


@pytest.mark.parametrize('value', [12, 12.0, '12', ' 12 ', '12.0', '12.', '0012', 'cuhk02_P1_12'])
def test_whole_numbers(value: float | str) -> None:
    assert read_facts({'identity': value, 'id': 12}, 'a.jpg')[0] == 12


@pytest.mark.parametrize('value', [2**63 - 1, -(2**63) + 1, str(2**63 - 1), f'{2**63 - 1}.0'])
def test_numbers_of_64_bits(value: int | str) -> None:
    assert abs(read_facts({'camera': value}, 'a.jpg')[1]) == 2**63 - 1


@pytest.mark.parametrize(
    ('record', 'key', 'message'),
    [
        ({'identity': 'anna'}, 'identity', "got 'anna'; people are numbers here"),
        ({'id': 12.5}, 'id', 'got 12.5'),
        ({'id': float('nan')}, 'id', 'got nan'),
        ({'id': float('inf')}, 'id', 'got inf'),
        ({'id': 1e300}, 'id', 'expected a whole number'),
        ({'id': True}, 'id', 'got True'),
        ({'id': [1]}, 'id', 'got a list'),
        ({'id': '1,234'}, 'id', "got '1,234'"),
        ({'id': '\uff11\uff12'}, 'id', 'got'),
        ({'camera': 2**63}, 'camera', '64 bits'),
        ({'camera': -(2**63)}, 'camera', '64 bits'),
        ({'camera': '9' * 5000}, 'camera', r'9\.\.\. \(5,002 characters\) does not fit into 64 bits'),
        ({'role': 'test'}, 'role', "expected one of train, val, query, gallery, got 'test'"),
        ({'role': ['train']}, 'role', 'got a list'),
        # One of two would win.
        ({'split': 'val', 'role': 'query'}, 'role', "says 'query', but 'split' says 'val'"),
        ({'identity': 1, 'id': 2}, 'id', "says 2, but 'identity' says 1"),
        ({'camera': 1, 'cmid': 2}, 'cmid', "says 2, but 'camera' says 1"),
    ],
)
def test_values_out_of_range_are_named(record: dict, key: str, message: str) -> None:
    with pytest.raises(FieldError, match=message) as caught:
        read_facts(record, 'a.jpg')
    assert caught.value.key == key


def test_numbers_of_names_are_checked_too() -> None:
    for name in (f'train/{"9" * 30}_c1.jpg', f'train/1_c{"9" * 30}.jpg'):
        with pytest.raises(FieldError, match='does not fit into 64 bits'):
            read_facts({}, name)


def test_own_numbers_have_no_prefix() -> None:
    with pytest.raises(FieldError, match="got 'shop1_12'"):
        read_facts({'identity': 'shop1_12'}, 'a.jpg', prefixes=False)


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('a\0.jpg', 'not text'),
        ('\ud800.jpg', 'not text'),
        ('x' * 252 + '.jpg', r'longer than names \(255 bytes\)'),
        ('ü' * 130 + '/a.jpg', 'longer than names'),
        ('abc/' * 1100 + 'a.jpg', 'longer'),
        (['a.jpg'], 'got a list'),
    ],
)
def test_paths_that_no_file_can_have(path: list[str] | str, message: str) -> None:
    with pytest.raises(FieldError, match=message) as caught:
        clean_path(path, 'path')
    assert caught.value.key == 'path'


def test_paths_that_a_file_can_have() -> None:
    for path in ('x' * 251 + '.jpg', 'ü' * 120 + '/a.jpg'):
        assert clean_path(f'/{path}') == path


def test_captions_are_text() -> None:
    with pytest.raises(FieldError, match='half a character'):
        clean_captions(['a', 'b\udc80', 'c', 'd'])
    assert clean_captions(['a', 'ü', 'c', '\N{GRINNING FACE}'])[3] == '\N{GRINNING FACE}'


def test_values_are_shown_short() -> None:
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert show(deep) == 'a list'
    assert show('x' * 1000).endswith('... (1,002 characters)')
    assert len(show('x' * 1000)) < 200
