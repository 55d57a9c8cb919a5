import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.islands.cameras import Camera
from cmdg_plugin.islands.domains import SOURCE_DOMAINS, TARGET_DOMAINS, Domain, get_domain
from cmdg_plugin.islands.drawing import Part
from cmdg_plugin.islands.people import sample_person
from cmdg_plugin.islands.pictures import draw, draw_nobody


@pytest.mark.parametrize('name', SOURCE_DOMAINS + TARGET_DOMAINS)
def test_every_camera_takes_pictures_of_its_size_from_the_seed(name: str) -> None:
    domain = get_domain(name)
    person = sample_person(np.random.default_rng(0))
    for camera, lens in enumerate(domain.cameras, start=1):
        first, again, other = (draw(person, domain, camera, np.random.default_rng(seed)) for seed in (5, 5, 6))
        assert first.image.size == lens.size
        assert first.image.mode == 'RGB'
        assert first.image.tobytes() == again.image.tobytes()
        assert first.image.tobytes() != other.image.tobytes()
        assert first.visible.sum() == pytest.approx(1)


def test_parts_are_where_bodies_have_them() -> None:
    plain = Domain('plain', (Camera('studio', crowding=0.0),))
    rng = np.random.default_rng(0)
    visible = np.mean([draw(sample_person(rng), plain, 1, rng).visible for _ in range(30)], axis=0)
    upper, middle, lower = range(3)
    assert visible[Part.FACE, upper] > 0.004 > visible[Part.FACE, middle]
    assert visible[Part.SHOES, lower] > 0.005 > visible[Part.SHOES, middle]
    assert visible[Part.LOWER, upper] == 0 < visible[Part.LOWER, lower]
    assert visible[Part.UPPER, upper] > 0.01
    assert visible[Part.UPPER, middle] > 0.01


def test_obstacles_hide_what_is_behind_them() -> None:
    free, crowded = (Domain('plain', (Camera('studio', crowding=crowding),)) for crowding in (0.0, 1.0))

    def body(domain: Domain) -> float:
        rng = np.random.default_rng(0)
        pictures = [draw(sample_person(rng), domain, 1, np.random.default_rng(seed)) for seed in range(30)]
        return float(np.mean([picture.visible[1:].sum() for picture in pictures]))

    assert body(crowded) < 0.95 * body(free)


def test_what_is_named_visible_has_the_garments_color() -> None:
    """The map of parts lies on the picture: its bag pixels are the bag's in the image."""
    from dataclasses import replace

    plain = Domain('plain', (Camera('studio', crowding=0, light=0, noise=0, blur=0, facings=(0, 1, 0, 0)),))
    person = replace(sample_person(np.random.default_rng(0)), bag='backpack', bag_color='red', shades=(0.0, 0.0, 0.0))
    picture = draw(person, plain, 1, np.random.default_rng(0))
    bag = picture.visible[Part.BAG].sum()
    pixels = np.asarray(picture.image, dtype=float)
    red = (pixels[..., 0] > 2.5 * pixels[..., 1]) & (pixels[..., 0] > 2.5 * pixels[..., 2])
    assert bag > 0.03
    assert red.mean() == pytest.approx(bag, rel=0.35)


def test_nobody_is_in_a_picture_of_nobody() -> None:
    picture = draw_nobody(get_domain('metro'), 1, np.random.default_rng(0))
    assert isinstance(picture.image, Image.Image)
    assert picture.visible[1:].sum() == 0


def test_a_camera_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match='cameras 1 to 2, not 3'):
        draw(sample_person(np.random.default_rng(0)), get_domain('alpine'), 3, np.random.default_rng(0))
