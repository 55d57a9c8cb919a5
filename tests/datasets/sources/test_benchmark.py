import pytest

from cmdg_plugin.datasets.sources.benchmark import Layout
from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS


@pytest.mark.parametrize(
    ('name', 'paths'),
    [
        ('viper', ('VIPeR/split_1a/train/p336_c2_d180.png', 'viper/VIPeR/cam_b/336_180.bmp', 'cam_b/0336_180.png')),
        ('msmt17', ('MSMT17_V2/mask_train_v2/0007/0007_001.jpg', 'msmt17/MSMT17_V1/train/0007/0007_001.jpg')),
        ('prid', ('prid_2011/single_shot/cam_a/person_0001.png', '/cam_a/person_0001.png')),
    ],
)
def test_an_image_is_the_same_in_every_layout(name: str, paths: tuple[str, ...]) -> None:
    keys = {BENCHMARKS[name].join_key(path) for path in paths}
    assert len(keys) == 1
    assert None not in keys


def test_images_that_differ_have_other_keys() -> None:
    viper = BENCHMARKS['viper']
    assert len({viper.join_key(f'/cam_{view}/{person}_0.bmp') for view in 'ab' for person in (1, 10, 100)}) == 6
    assert viper.join_key('/readme.txt') is None


def test_a_layout_is_drawn_as_a_tree_and_known_by_its_folders() -> None:
    layout = Layout('release', 'shop', (('train/', '1.jpg'), ('list.txt', ''), ('query/', '(2 images)')))
    assert layout.markers == ('train/', 'query/')
    assert layout.draw('data').splitlines() == [
        'data/shop/',
        '├── train/                 1.jpg',
        '├── list.txt',
        '└── query/                 (2 images)',
    ]


def test_versions_are_those_of_the_layouts() -> None:
    assert BENCHMARKS['cuhk03'].versions == ('labeled', 'detected')
    assert BENCHMARKS['msmt17'].versions == ('MSMT17_V1', 'MSMT17_V2')
    assert BENCHMARKS['market1501'].versions == ()
