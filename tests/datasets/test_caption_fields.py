import pytest

from cmdg_plugin.datasets.caption_fields import FieldError, RecordFacts, read_facts


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
def test_facts_of_names(path, identity, camera, split):
    assert read_facts({}, path) == RecordFacts(identity, camera, split)


def test_keys_win_over_names():
    facts = read_facts({'identity': 7, 'camera': 8, 'role': 'query'}, 'train/0012_c3_000151.jpg')
    assert facts == RecordFacts(7, 8, 'query')
    assert read_facts({'split': 'val', 'role': 'query'}, 'a.jpg').split == 'val'
    with pytest.raises(FieldError) as caught:
        read_facts({'role': 'test'}, 'a.jpg')
    assert caught.value.key == 'role'
