"""The files a captioning run ends with; each appears whole or not at all."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.captioning.worklist import ItemState, WorkList
from cmdg_plugin.files.locking import hold
from cmdg_plugin.files.writing import open_whole_text, remove_unfinished, write_whole
from cmdg_plugin.regions import CAPTION_FILE_ORDER


@dataclass
class RunSummary:
    """What a finished run came to.

    Attributes:
        images: Images in all.
        captioned: Images with four captions.
        failed: Images with a sentence that failed for good.
        asked_again: How often an answer could not be used, by problem.
        fixed: How often a caption had to be cleaned, by what was wrong.
    """

    images: int = 0
    captioned: int = 0
    failed: int = 0
    asked_again: Counter[str] = field(default_factory=Counter)
    fixed: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        counts = {'asked_again': dict(self.asked_again.most_common()), 'fixed': dict(self.fixed.most_common())}
        return {**vars(self), **counts}


def prepare_output(out: Path) -> Path:
    """Make the folder of an output.

    Raises:
        ValueError: If it is not to be a JSON file.
    """
    if out.suffix != '.json':
        raise ValueError(f'the output must be a .json file, got {out}.')
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


@contextmanager
def lock_output(out: Path) -> Iterator[None]:
    """Hold an output; the lock goes with the process, however it ends. What killed runs left half written is removed.

    Raises:
        InUse: If another run holds it.
    """
    with hold(f'{out}.lock', f'another run writes to {out}; wait for it, or give another --out'):
        for path in (out, failed_path(out), summary_path(out)):
            remove_unfinished(path)
        yield


def journal_path(out: Path) -> Path:
    """The journal of an output: `captions.json` has `captions.journal.jsonl`."""
    return out.with_name(f'{out.stem}.journal.jsonl')


def failed_path(out: Path) -> Path:
    """The list of images that failed: `captions.json` has `captions.failed.json`."""
    return out.with_name(f'{out.stem}.failed.json')


def summary_path(out: Path) -> Path:
    """The counts of a run: `captions.json` has `captions.summary.json`."""
    return out.with_name(f'{out.stem}.summary.json')


def write_outputs(out: Path, worklist: WorkList, settings: CaptionSettings) -> RunSummary:
    """Write the caption file, the list of failed images and the counts.

    Records are written one a line while they are read, so memory does not grow with their number. An image with a
    failed sentence is in the list of failed ones, not in the caption file.

    Args:
        out: The caption file; the other two lie beside it.
        worklist: All images, each sentence with an answer.
        settings: What the answers were made with.
    """
    summary = RunSummary()
    facts = {'model': settings.model, 'prompt_version': settings.prompt_version, 'seed': settings.seed}
    with _whole_list(out) as write_caption, _whole_list(failed_path(out)) as write_failure:
        for state in worklist.states():
            record = _make_record(state, summary)
            summary.images += 1
            if 'failures' in record:
                summary.failed += 1
                write_failure(record)
            else:
                summary.captioned += 1
                write_caption({**record, **facts})
    counts = {**summary.as_dict(), 'settings': settings.as_dict()}
    write_whole(summary_path(out), json.dumps(counts, indent=2))
    return summary


def finish_outputs(out: Path, worklist: WorkList, settings: CaptionSettings) -> RunSummary:
    """Write the files of a complete run and log what it came to; see `write_outputs`."""
    summary = write_outputs(out, worklist, settings)
    logger = MMLogger.get_current_instance()
    logger.info(f'{summary.captioned} of {summary.images} images have four captions: {out}')
    if summary.asked_again or summary.fixed:
        counts = summary.as_dict()
        again, fixed = counts['asked_again'] or 'none', counts['fixed'] or 'none'
        logger.info(f'answers asked again: {again}; captions cleaned: {fixed}')
    if summary.failed:
        logger.warning(f'{summary.failed} images failed for good; images and reasons: {failed_path(out)}')
    return summary


def _make_record(state: ItemState, summary: RunSummary) -> dict[str, Any]:
    item = state.item
    record: dict[str, Any] = {'file_path': item.file_path}
    for key, value in (('identity', item.identity), ('camera', item.camera), ('split', item.split)):
        if value is not None:
            record[key] = value
    captions: dict[str, str] = {}
    failures: dict[str, str] = {}
    for region, answer in zip(CAPTION_FILE_ORDER, state.answers, strict=True):
        if answer is None:
            raise ValueError(f'{item.file_path} has no answer for {region}; finish the run first.')
        if 'caption' in answer:
            captions[region] = answer['caption']
        else:
            failures[region] = answer['failure']
        summary.asked_again.update(answer.get('problems', ()))
        summary.fixed.update(answer.get('fixes', ()))
    if failures:
        return {**record, 'failures': failures, 'captions': captions}
    return {**record, 'captions': [captions[region] for region in CAPTION_FILE_ORDER]}


@contextmanager
def _whole_list(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give a function that adds an entry to a JSON list, which takes its name once it is complete."""
    separator = '\n'

    def add(record: dict[str, Any]) -> None:
        nonlocal separator
        file.write(separator)
        json.dump(record, file, ensure_ascii=False)
        separator = ',\n'

    with open_whole_text(path) as file:
        file.write('[')
        yield add
        file.write('\n]\n')
