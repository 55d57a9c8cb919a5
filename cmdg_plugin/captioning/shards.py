"""Splitting a run over machines, by the images' paths."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cmdg_plugin.captioning.settings import stable_number
from cmdg_plugin.datasets.caption_fields import CaptionRecord


@dataclass(frozen=True)
class Shard:
    """One part of a run: images whose path falls on `index` of `count`, counted from 1.

    The path alone decides, so machines that list a folder in different orders still agree.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> 'Shard':
        """Read `i/n`, with i from 1 to n.

        Raises:
            ValueError: If the text is something else.
        """
        match = re.fullmatch(r'(\d+)/(\d+)', text)
        shard = cls(int(match.group(1)), int(match.group(2))) if match else None
        if shard is None or not 1 <= shard.index <= shard.count:
            raise ValueError(f'expected a shard like 2/8 (the second of eight, counted from 1), got {text!r}.')
        return shard

    def select(self, items: Iterable[CaptionRecord]) -> Iterator[CaptionRecord]:
        """The images of this part."""
        return (item for item in items if stable_number(item.file_path) % self.count == self.index - 1)

    def output_path(self, out: Path) -> Path:
        """Name of this part's output: `captions.json` becomes `captions.2-of-8.json`."""
        return out.with_name(f'{out.stem}.{self.index}-of-{self.count}{out.suffix}')
