import pytest

from cmdg_plugin.captioning.language import looks_english, split_words


@pytest.mark.parametrize(
    'text',
    [
        'The man is wearing a dark suit with a white shirt and a tie.',
        'Blue jeans, white sneakers, black backpack, red cap, gray gloves.',
        'Dark trousers.',
        'A woman in a café jacket.',
        # From the released captions: the fewest common words, the most, and odd ones.
        'The lower third of the image shows a person wearing a dark skirt, black knee-high socks, and black shoes.',
        'The lower third of the image shows a person wearing maroon sweatpants with white stripes down the sides, '
        'paired with black shoes.',
        'The middle third of the image shows a person wearing a textured, dark-colored sweater with intricate '
        'patterns, paired with dark pants.',
    ],
)
def test_english_is_told(text: str) -> None:
    assert looks_english(text)


@pytest.mark.parametrize(
    'text',
    [
        '',
        '1234 5678.',
        'La persona lleva una chaqueta negra y pantalones vaqueros azules.',
        'Die Person trägt eine schwarze Jacke und eine blaue Hose in der Hand.',
        'L’homme porte une veste noire et un pantalon bleu avec a bag.',  # noqa: RUF001
        'O homem está vestindo uma camisa a preta.',
        'De man draagt een zwarte jas en is op weg in een blauwe broek.',
        '这个人穿着黑色外套。',
        'Мужчина в черной куртке and a bag.',
        'このひとは黒い jacket を着ている with a bag',
    ],
)
def test_other_languages_are_told_from_english(text: str) -> None:
    assert not looks_english(text)


def test_words_are_split_at_what_is_not_a_letter() -> None:
    assert split_words("It's a T-shirt, 2 BAGS!") == ["it's", 'a', 't', 'shirt', 'bags']
