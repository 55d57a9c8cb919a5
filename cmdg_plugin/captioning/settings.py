"""What the answers of a captioning run depend on."""

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any

from cmdg_plugin.captioning.plain_text import is_text

VIEWS = ('whole', 'crop')
"""How a third is shown: the whole image with the third named, or the third cut out."""

WORDINGS = ('first', 'varied')
"""How questions are worded: always the first wording of a region, or one drawn per image from all of them."""


@dataclass(frozen=True)
class CaptionSettings:
    """Settings that are written into the journal: a run continues only with the same ones.

    Attributes:
        model: Name of the model, as the records will say.
        prompt_version: Version of the prompts file, as `PromptBook.version` gives it.
        view: One of `VIEWS`.
        wording: One of `WORDINGS`.
        temperature: Sampling temperature; 0 takes the likeliest word each time.
        seed: Seed of sampling and of the choice of wordings.
        max_tokens: The longest answer, in the model's tokens.

    Raises:
        ValueError: If a value is outside its range.
    """

    model: str
    prompt_version: str
    view: str = 'whole'
    wording: str = 'first'
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 120

    def __post_init__(self) -> None:
        for name in ('model', 'prompt_version', 'view', 'wording'):
            value = getattr(self, name)
            if value != '' and not is_text(value):
                raise ValueError(f'{name} must be text, got {ascii(value)[:60]}.')
        for name in ('seed', 'max_tokens'):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
                raise ValueError(f'{name} must be a whole number of at most 64 bits, got a {type(value).__name__}.')
        if not isinstance(self.temperature, int | float) or isinstance(self.temperature, bool):
            raise ValueError(f'temperature must be a number, got {self.temperature!r}.')
        if not self.model:
            raise ValueError('no model named; give the name that the server or the hub knows it by.')
        for value, known, name in ((self.view, VIEWS, 'view'), (self.wording, WORDINGS, 'wording')):
            if value not in known:
                raise ValueError(f'unknown {name} {value!r}; expected one of {", ".join(known)}.')
        if not 0 <= self.temperature <= 2:
            raise ValueError(f'temperature must be between 0 and 2, got {self.temperature}.')
        if self.max_tokens < 1:
            raise ValueError(f'max_tokens must be at least 1, got {self.max_tokens}.')

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> 'CaptionSettings':
        """Read settings that `as_dict` wrote.

        Raises:
            ValueError: If a key is missing or unknown.
        """
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            raise ValueError(f'expected the settings {", ".join(sorted(expected))}, got {", ".join(sorted(values))}.')
        return cls(**values)

    def seed_for(self, file_path: str, region: str, attempt: int) -> int:
        """A seed of 31 bits for one request: the same in every run, whatever the order or the shard."""
        return stable_number(f'{self.seed}|{file_path}|{region}|{attempt}') & 0x7FFFFFFF


def stable_number(text: str) -> int:
    """A number of 64 bits that a text has in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode('utf-8', 'surrogateescape'), digest_size=8).digest(), 'big')
