import pytest

from cmdg_plugin.models.trainable import choose_trained

NAMES = ['backbone.visual.a', 'backbone.visual.b', 'backbone.text', 'head.weight', 'header.weight', 'losses.warmup.x']
SIDES = {'image': frozenset(['backbone.visual.a', 'backbone.visual.b']), 'text': frozenset(['backbone.text'])}


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['image'], {'backbone.visual.a', 'backbone.visual.b'}),
        (['text', 'head'], {'backbone.text', 'head.weight'}),
        (['backbone.visual.a'], {'backbone.visual.a'}),
        (['backbone.'], {'backbone.visual.a', 'backbone.visual.b', 'backbone.text'}),
    ],
)
def test_words_and_beginnings_of_names(words: list[str], expected: set[str]) -> None:
    assert choose_trained('prompt', words, NAMES, SIDES) == expected


def test_what_chooses_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        ValueError, match=r"'warmup' trains 'hea', but no .* There are: backbone\.text, backbone\.visual"
    ):
        choose_trained('warmup', ['hea'], NAMES, SIDES)
    # A side of which nothing may be trained chooses nothing.
    with pytest.raises(ValueError, match="trains 'text'"):
        choose_trained('prompt', ['text'], NAMES[:2], SIDES)


def test_parameters_of_its_own_terms_are_not_left_out() -> None:
    with pytest.raises(ValueError, match=r"such as losses\.warmup\.x: add 'losses\.warmup'"):
        choose_trained('warmup', ['image'], NAMES, SIDES)
    assert 'losses.warmup.x' in choose_trained('warmup', ['image', 'losses.warmup'], NAMES, SIDES)
