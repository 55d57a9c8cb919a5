"""Putting the shards of a run together again, checking that nothing is missing and nothing contradicts."""

from glob import escape
from pathlib import Path

from cmdg_plugin.captioning.journal import read_entries, read_settings
from cmdg_plugin.captioning.output import (
    RunSummary,
    finish_outputs,
    journal_path,
    lock_output,
    prepare_output,
)
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.captioning.worklist import WorkList, list_images

_SHOWN = 5


def merge_shards(source: Path, out: Path, journals: list[Path]) -> RunSummary:
    """Put the shards of a run together, checking that nothing is missing and nothing contradicts.

    Args:
        source: The same folder or index that the shards captioned.
        out: The caption file to write.
        journals: The shards' journals; where empty, those beside `out` (`captions.1-of-4.journal.jsonl`, ...).

    Raises:
        FileNotFoundError: If there are no such images or journals.
        ValueError: If settings differ, sentences are missing or have two captions.
        InUse: If another run writes to the same output.
    """
    out = prepare_output(out)
    journals = journals or sorted(out.parent.glob(f'{escape(out.stem)}.*-of-*.journal.jsonl'))
    settings = shared_settings(journals)
    with lock_output(out), WorkList() as worklist:
        if journal_path(out).exists():
            raise ValueError(f'{out} belongs to a run of its own ({journal_path(out).name}); choose another --out.')
        list_images(worklist, source, None)
        strangers = merge_journals(worklist, journals)
        if strangers:
            raise ValueError(
                f'{strangers} sentences in the journals are of images that {source} does not have; '
                'give the folder or index that the shards captioned.'
            )
        return finish_outputs(out, worklist, settings)


def shared_settings(journals: list[Path]) -> CaptionSettings:
    """The settings that all journals of a merge were made with.

    Raises:
        ValueError: If they differ; names the first two journals and settings that do.
    """
    if not journals:
        raise ValueError('no journals to merge; give those that the shards wrote (captions.1-of-2.journal.jsonl, ...).')
    first = read_settings(journals[0])
    for journal in journals[1:]:
        other = read_settings(journal)
        for key in sorted({*first, *other}):
            if first.get(key) != other.get(key):
                raise ValueError(
                    f'the shards cannot be merged: {key} is {first.get(key)!r} in {journals[0]} but '
                    f'{other.get(key)!r} in {journal}.'
                )
    return CaptionSettings.from_dict(first)


def merge_journals(worklist: WorkList, journals: list[Path]) -> int:
    """Fill a list with the answers of all shards' journals.

    Args:
        worklist: All images, without answers.
        journals: One journal a shard.

    Returns:
        How many answers belong to no image of the list.

    Raises:
        ValueError: If two shards answer the same sentence differently, or a sentence has no answer in any.
    """
    strangers, conflicts = 0, []
    for journal in journals:
        for entry in read_entries(journal):
            before = worklist.get_answer(entry['path'], entry['region'])
            # Of one journal, the last line about a sentence counts; of several, a caption.
            if before is not None and 'caption' in before and before['journal'] != str(journal):
                if 'caption' in entry and before['caption'] != entry['caption']:
                    conflicts.append(f'{entry["path"]} ({entry["region"]}) in {before["journal"]} and {journal}')
            elif not worklist.set_answer({**entry, 'journal': str(journal)}):
                strangers += 1
    if conflicts:
        shown = '; '.join(conflicts[:_SHOWN])
        raise ValueError(f'{len(conflicts)} sentences have two different captions, such as {shown}.')
    if gaps := worklist.count_missing():
        shown = ', '.join(worklist.first_missing(_SHOWN))
        raise ValueError(
            f'{gaps} sentences are in none of the {len(journals)} journals, such as {shown}; finish their shards, or '
            'give the journals that are missing.'
        )
    return strangers
