"""Captions from a file for images that something else lists."""

from collections.abc import Callable, Collection, Hashable
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.saying import say, warn


def join_captions(
    caption_file: str | Path, key: Callable[[str], Hashable | None], images: Collection[Hashable]
) -> dict[Hashable, CaptionRecord]:
    """Find the record of each image; records of other images are counted and logged.

    A file of several splits may describe an image anew in each: the last one counts, and how many differ is logged.

    Args:
        caption_file: The caption file.
        key: What tells an image from all others, from a record's path; None if it is not of this dataset.
        images: Keys of the images.

    Returns:
        Records by key, those of other images included.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a caption file, or describes an image twice in one split and differently.
    """
    records = load_captions(caption_file)
    found: dict[Hashable, CaptionRecord] = {}
    redescribed = set()
    strangers = 0
    for record in records:
        image = key(record.file_path)
        strangers += image is None or image not in images
        if image is None:
            continue
        before = found.setdefault(image, record)
        if before.captions != record.captions:
            if before.split_index == record.split_index:
                raise ValueError(
                    f'{caption_file}: {before.file_path} and {record.file_path} are one image of this dataset, with '
                    f'different captions. Keep one of them.'
                )
            redescribed.add(image)
        found[image] = record
    if strangers:
        say(f'{caption_file}: {strangers:,} of {len(records):,} records are of images not used here')
    if redescribed:
        warn(
            f'{caption_file}: {len(redescribed):,} images have other captions in another split; the last ones are used'
        )
    return found
