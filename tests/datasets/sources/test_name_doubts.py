import pytest

from cmdg_plugin.datasets.sources.name_doubts import find_doubts


@pytest.mark.parametrize(
    ('names', 'warning'),
    [
        (['20230501_120000_p3_c1.jpg'], 'such as 20230501_120000_p3_c1.jpg, begin with what looks like a date'),
        (['1682942400123_c1.jpg'], 'begin with what looks like a date or a time'),
        (['1_001_1_01.png'], "such as 1_001_1_01.png, look like CUHK03's"),
        (['0012_000151_c3.jpg'], 'name a camera, but not as a number right after that of the person'),
        (['0012_x_cam3.jpg'], 'name a camera, but not as a number'),
        (['0012_camA_x.jpg'], 'name a camera, but not as a number'),
        (['0012_camera_b.jpg'], 'name a camera, but not as a number'),
        (['2023-05-01_1.jpg'], 'begin with what looks like a date'),
        (['2023.05.01_1.jpg'], 'begin with what looks like a date'),
        (['01_05_2023_1.jpg'], 'begin with what looks like a date'),
    ],
)
def test_names_that_may_mean_something_else(names: list[str], warning: str) -> None:
    said = list(find_doubts([f'train/{name}' for name in names]))
    assert all(doubt.startswith(f'1 of 1 names, such as {names[0]}') for doubt in said)
    assert any(warning in doubt for doubt in said)
    assert all('rename the images, or give an index' in doubt for doubt in said)


@pytest.mark.parametrize(
    'names',
    [
        ('0012_c3_20230501_120000.jpg', '0012_C4.jpg', '0013_cam1_x.jpg'),
        ('2023_13_01_x.jpg', '0012-05-1_x.jpg', '14_campus.jpg', '15_cam.jpg'),
    ],
)
def test_plain_names_raise_no_doubt(names: tuple[str, ...]) -> None:
    assert list(find_doubts(names)) == []
