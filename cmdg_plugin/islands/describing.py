"""The captioner: four sentences on a picture, in varied words, from what can be seen, with a captioner's mistakes."""

from dataclasses import dataclass

import numpy as np

from .drawing import Part
from .people import Person
from .pictures import Picture

_SYNONYMS: dict[str, tuple[str, ...]] = {
    'black': ('black', 'black', 'dark', 'dark-colored'),
    'white': ('white', 'white', 'off-white', 'light-colored'),
    'gray': ('gray', 'gray', 'grayish'),
    'navy': ('navy', 'dark blue', 'navy blue'),
    'blue': ('blue', 'blue', 'bright blue'),
    'sky blue': ('light blue', 'sky blue', 'pale blue'),
    'green': ('green', 'green', 'dark green'),
    'olive': ('olive', 'olive green', 'khaki green'),
    'red': ('red', 'red', 'bright red', 'crimson'),
    'maroon': ('maroon', 'dark red', 'burgundy'),
    'pink': ('pink', 'pink', 'light pink'),
    'purple': ('purple', 'purple', 'violet'),
    'orange': ('orange', 'orange', 'bright orange'),
    'yellow': ('yellow', 'yellow', 'mustard'),
    'brown': ('brown', 'brown', 'dark brown'),
    'beige': ('beige', 'tan', 'cream-colored', 'khaki'),
    'blond': ('blond', 'blonde', 'fair'),
}
_CONFUSIONS: dict[str, tuple[str, ...]] = {
    'black': ('navy', 'gray', 'brown'),
    'white': ('beige', 'gray', 'sky blue'),
    'gray': ('black', 'blue', 'white'),
    'navy': ('black', 'blue', 'purple'),
    'blue': ('navy', 'purple', 'sky blue'),
    'sky blue': ('white', 'blue', 'gray'),
    'green': ('olive', 'blue', 'black'),
    'olive': ('green', 'brown', 'gray'),
    'red': ('maroon', 'orange', 'pink'),
    'maroon': ('red', 'brown', 'purple'),
    'pink': ('red', 'white', 'purple'),
    'purple': ('navy', 'maroon', 'blue'),
    'orange': ('red', 'yellow', 'brown'),
    'yellow': ('orange', 'beige', 'green'),
    'brown': ('maroon', 'black', 'olive'),
    'beige': ('white', 'yellow', 'brown'),
    'blond': ('brown', 'gray', 'orange'),
}
_THINGS: dict[str, tuple[str, ...]] = {
    't-shirt': ('t-shirt', 'tee', 'short-sleeved shirt', 'short-sleeved top'),
    'tank top': ('tank top', 'sleeveless top', 'sleeveless shirt'),
    'shirt': ('shirt', 'button-up shirt', 'long-sleeved shirt'),
    'sweater': ('sweater', 'pullover', 'long-sleeved top'),
    'hoodie': ('hoodie', 'hooded sweatshirt', 'sweatshirt with a hood'),
    'jacket': ('jacket', 'short jacket'),
    'coat': ('coat', 'long coat', 'overcoat'),
    'trousers': ('trousers', 'pants', 'slacks'),
    'jeans': ('jeans', 'denim pants'),
    'shorts': ('shorts', 'short pants'),
    'skirt': ('skirt', 'knee-length skirt'),
    'long skirt': ('long skirt', 'ankle-length skirt'),
    'sneakers': ('sneakers', 'sports shoes', 'shoes'),
    'boots': ('boots', 'ankle boots'),
    'sandals': ('sandals', 'open shoes'),
    'backpack': ('backpack', 'rucksack'),
    'shoulder bag': ('shoulder bag', 'crossbody bag', 'bag with a shoulder strap'),
    'handbag': ('handbag', 'purse', 'small bag'),
    'shopping bag': ('shopping bag', 'tote bag', 'large bag'),
    'cap': ('cap', 'baseball cap'),
    'beanie': ('beanie', 'knitted hat'),
    'sun hat': ('sun hat', 'wide-brimmed hat'),
    'glasses': ('glasses', 'eyeglasses'),
    'sunglasses': ('sunglasses', 'dark glasses'),
}
_PLURALS = {'trousers', 'jeans', 'shorts', 'sneakers', 'boots', 'sandals', 'glasses', 'sunglasses'}
_OPENERS: dict[str, tuple[str, ...]] = {
    'upper': (
        'The upper third of the image shows {}.',
        'In the upper part, one sees {}.',
        'At the top there is {}.',
        'The top third shows {}.',
    ),
    'middle': (
        'The middle third of the image shows {}.',
        'In the middle part, one sees {}.',
        'Around the waist there is {}.',
        'The central third shows {}.',
    ),
    'lower': (
        'The lower third of the image shows {}.',
        'In the lower part, one sees {}.',
        'At the bottom there is {}.',
        'The bottom third shows {}.',
    ),
}
_EMPTY = ('The image shows a place without a clear person.', 'The {} third of the image shows no details of a person.')
_LEAST_VISIBLE = 0.0012
"""Share of the picture below which a thing is too small to be mentioned: some six pixels of 48 x 96."""


@dataclass(frozen=True)
class _Eye:
    """What a captioner makes of a picture: chance, and how often it errs."""

    rng: np.random.Generator
    error: float
    omission: float

    def one_of(self, words: tuple[str, ...]) -> str:
        return words[int(self.rng.integers(len(words)))]

    def misses(self) -> bool:
        return self.rng.random() < self.omission

    def color(self, name: str) -> str:
        if self.rng.random() < self.error:
            name = self.one_of(_CONFUSIONS[name])
        return self.one_of(_SYNONYMS[name])

    def thing(self, name: str, color: str, prefix: str = '') -> str:
        words = f'{self.color(color)} {prefix}{self.one_of(_THINGS[name])}'
        return f'a pair of {words}' if name in _PLURALS and self.rng.random() < 0.3 else _with_article(words, name)


def _with_article(words: str, name: str) -> str:
    if name in _PLURALS:
        return words
    return f'an {words}' if words[0] in 'aeiou' else f'a {words}'


def _joined(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f'{", ".join(items[:-1])} and {items[-1]}'


def describe(person: Person | None, picture: Picture, rng: np.random.Generator) -> tuple[str, str, str, str]:
    """Write four captions as an image captioner would: from what is visible, mostly right.

    What is hidden, cut off or too small is not mentioned; small things are left out now and then; a color is called
    by a neighboring one in about 6 % of the cases, and more often the darker the picture is.

    Args:
        person: Who is in the picture; None if nobody is.
        picture: The picture.
        rng: Choice of words, omissions and errors.

    Returns:
        Sentences on the whole person, the upper, the middle and the lower third of the picture (the order of caption
        files).
    """
    if person is None:
        return _EMPTY[0], _EMPTY[1].format('upper'), _EMPTY[1].format('middle'), _EMPTY[1].format('lower')
    darkness = max(0.0, 0.45 - float(np.asarray(picture.image).mean()) / 255)
    eye = _Eye(rng, error=0.06 + 0.4 * darkness, omission=0.12 + 0.3 * darkness)
    seen = picture.visible > _LEAST_VISIBLE
    seen[Part.SCENE] = False
    upper, middle, lower = (_third(person, eye, seen[:, row], region) for row, region in enumerate(_OPENERS))
    return _whole(person, picture, eye, np.any(seen, axis=1)), upper, middle, lower


def _third(person: Person, eye: _Eye, seen: np.ndarray, region: str) -> str:
    items = []
    if region == 'upper':
        items += _head(person, eye, seen)
    if seen[Part.UPPER] and region != 'lower':
        items.append(_upper(person, eye, seen))
    if seen[Part.SCARF] and region == 'upper' and not eye.misses():
        items.append(f'a {eye.color(person.scarf_color)} scarf')
    if seen[Part.LOWER] and region != 'upper' and not (region == 'middle' and eye.misses()):
        items.append(eye.thing(person.lower, person.lower_color))
    if seen[Part.LEGS] and region == 'lower' and not eye.misses():
        items.append('bare legs')
    if seen[Part.SHOES] and region == 'lower' and not eye.misses():
        items.append(eye.thing(person.shoes, person.shoe_color))
    if seen[Part.BAG] and not eye.misses():
        items.append(eye.thing(person.bag, person.bag_color))
    if region == 'lower' and seen[Part.UPPER] and person.upper == 'coat':
        items.append(f'the hem of a {eye.color(person.upper_color)} coat')
    if not items:
        return _EMPTY[1].format(region)
    wearing = 'a person with {}' if region == 'upper' else 'a person wearing {}'
    subject = eye.one_of(('a person with {}', wearing, '{}'))
    return eye.one_of(_OPENERS[region]).format(subject.format(_joined(items)))


def _head(person: Person, eye: _Eye, seen: np.ndarray) -> list[str]:
    items = []
    if seen[Part.HEADWEAR] and not eye.misses():
        items.append(eye.thing(person.headwear, person.headwear_color))
    if seen[Part.HAIR] and not eye.misses():
        items.append(_hair(person, eye))
    elif person.hair_style == 'bald' and not seen[Part.HEADWEAR] and seen[Part.FACE]:
        items.append(eye.one_of(('a bald head', 'no hair', 'a shaved head')))
    if seen[Part.EYEWEAR] and not eye.misses():
        items.append(eye.one_of(_THINGS[person.eyewear]))
    return items


def _hair(person: Person, eye: _Eye) -> str:
    color = eye.color('orange' if person.hair_color == 'red' and eye.rng.random() < 0.3 else person.hair_color)
    styles = {
        'long': ('long {} hair', '{} shoulder-length hair'),
        'ponytail': ('{} hair in a ponytail', 'a {} ponytail'),
        'bun': ('{} hair in a bun', '{} hair tied up'),
    }
    return eye.one_of(styles.get(person.hair_style, ('short {} hair', '{} hair'))).format(color)


def _upper(person: Person, eye: _Eye, seen: np.ndarray) -> str:
    pattern, prefix, suffix = person.upper_pattern, '', ''
    layered = person.upper in ('jacket', 'coat')
    if seen[Part.ACCENT] and not eye.misses():
        accent = eye.color(person.accent_color)
        if layered:
            suffix = eye.one_of((f' over a {accent} top', f' with a {accent} shirt underneath'))
        elif pattern in ('stripes', 'checks'):
            prefix = eye.one_of(
                {'stripes': ('striped ', 'horizontally striped '), 'checks': ('checked ', 'plaid ')}[pattern]
            )
            suffix = f' in {accent}' if eye.rng.random() < 0.5 else ''
        elif pattern == 'logo':
            suffix = eye.one_of((f' with a {accent} logo', f' with a {accent} print on the chest'))
        else:
            suffix = eye.one_of((f' with a {accent} lower half', f' and {accent} in its lower part'))
    return eye.thing(person.upper, person.upper_color, prefix) + suffix


def _whole(person: Person, picture: Picture, eye: _Eye, seen: np.ndarray) -> str:
    if not seen.any():
        return _EMPTY[0]
    unsure = eye.rng.random() < (0.4 if picture.pose.facing == 'back' else 0.15)
    noun = 'person' if unsure else person.gender
    pronoun = {'man': 'He is', 'woman': 'She is', 'person': 'They are'}[noun]
    worn = [_upper(person, eye, seen)] if seen[Part.UPPER] else []
    if seen[Part.LOWER]:
        worn.append(eye.thing(person.lower, person.lower_color))
    if seen[Part.SHOES] and not eye.misses() and eye.rng.random() < 0.5:
        worn.append(eye.thing(person.shoes, person.shoe_color))
    sentence = (
        f'{eye.one_of(("The", "A"))} {noun} is {eye.one_of(("wearing", "dressed in"))} {_joined(worn)}'
        if worn
        else f'A {noun} is visible'
    )
    if seen[Part.BAG] and not eye.misses():
        sentence += f', {eye.one_of(("carrying", "with"))} {eye.thing(person.bag, person.bag_color)}'
    details = _head(person, eye, seen)[:2]
    more = f' {pronoun} seen with {_joined(details)}.' if details and eye.rng.random() < 0.7 else ''
    return f'{sentence}.{more}{_manner(picture, eye, pronoun)}'


def _manner(picture: Picture, eye: _Eye, pronoun: str) -> str:
    if eye.misses() or eye.rng.random() < 0.3:
        return ''
    facing = picture.pose.facing
    going = {'front': 'walking towards the camera', 'back': 'walking away from the camera'}
    return f' {pronoun} {going.get(facing, f"walking to the {facing}")}.'
