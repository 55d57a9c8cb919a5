import pytest

from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS, TEXT_BENCHMARKS, get_benchmark


def test_an_unknown_dataset_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"market1501, msmt17, .*ilids, cuhk-pedes, .*rstpreid, got 'market'"):
        get_benchmark('market')
    assert get_benchmark('grid') is BENCHMARKS['grid']
    assert len(BENCHMARKS) == 9
    assert get_benchmark('rstpreid') is TEXT_BENCHMARKS['rstpreid']
    assert not any(benchmark.text_search for benchmark in BENCHMARKS.values())
    assert all(benchmark.text_search for benchmark in TEXT_BENCHMARKS.values())


@pytest.mark.parametrize(
    ('name', 'path', 'person'),
    [
        ('market1501', '/query/0001_c1s1_001051_00.jpg', '0001'),
        ('market1501', '/bounding_box_test/-1_c1s1_000401_03.jpg', '-1'),
        ('cuhk02', '/P1/cam1/012_01.png', '012'),
        ('cuhksysu', '/cropped_images/p11422_s16929_1.jpg', '11422'),
        ('prid', '/cam_a/person_0001.png', '0001'),
        ('grid', '/probe/0001_1_25004_107_32_106_221.jpeg', '0001'),
        ('viper', '/cam_a/000_45.bmp', '000'),
        ('viper', '/split_1a/train/p336_c2_d180.png', '336'),
        ('ilids', '/images/0056001.jpg', '0056'),
    ],
)
def test_names_tell_who_is_in_an_image(name: str, path: str, person: str) -> None:
    pattern = BENCHMARKS[name].person
    assert pattern is not None
    match = pattern.search(path)
    assert match is not None
    assert match.group(1) == person


def test_small_sets_are_evaluated_on_ten_splits() -> None:
    assert {name for name, benchmark in BENCHMARKS.items() if benchmark.single_shot} == {
        'prid',
        'grid',
        'viper',
        'ilids',
    }
