"""A captioning run from start to end: what is there already, what is missing, the requests, the files."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import inf
from pathlib import Path

from cmdg_plugin.captioning.backends.base import CaptionBackend
from cmdg_plugin.captioning.image_state import has_changed
from cmdg_plugin.captioning.interruption import run_until_stopped
from cmdg_plugin.captioning.journal import Journal, read_entries
from cmdg_plugin.captioning.output import RunSummary, finish_outputs, journal_path, lock_output, prepare_output
from cmdg_plugin.captioning.progress_bar import caption_bar
from cmdg_plugin.captioning.prompts import PromptBook
from cmdg_plugin.captioning.runner import CaptionRunner, Entry
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.captioning.shards import Shard
from cmdg_plugin.captioning.worklist import WorkList, list_images
from cmdg_plugin.datasets.index_files import default_image_root
from cmdg_plugin.saying import say, warn

_TRIED = 100
_MOST_ATTEMPTS = 100


@dataclass(frozen=True)
class CaptionJob:
    """Which images to caption into which file.

    Attributes:
        source: A folder of images, or an index.
        out: The caption file to write at the end; the journal and the list of failed images lie beside it.
        image_root: Where the index's paths start; by default the folder it lies in.
        shard: The part of the images to caption; by default all.
        attempts: How often a sentence is asked for in all, before it fails for good.
        fsync_seconds: The longest time between forced writes of the journal.
        retry_failed: Ask again for sentences that failed for good in an earlier run.

    Raises:
        ValueError: If a number is outside its range.
    """

    source: Path
    out: Path
    image_root: Path | None = None
    shard: Shard | None = None
    attempts: int = 3
    fsync_seconds: float = 1.0
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= _MOST_ATTEMPTS:
            raise ValueError(f'attempts must be from 1 to {_MOST_ATTEMPTS}, got {self.attempts}.')
        if not 0 <= self.fsync_seconds < inf:
            raise ValueError(f'fsync_seconds must be at least 0, got {self.fsync_seconds}.')


def generate_captions(
    job: CaptionJob, settings: CaptionSettings, prompts: PromptBook, make_backend: Callable[[], CaptionBackend]
) -> RunSummary:
    """Caption images, or continue where an earlier run with the same settings ended.

    Args:
        job: Which images, and where to.
        settings: What the answers depend on.
        prompts: The questions.
        make_backend: Builds the backend; not called when nothing is missing.

    Returns:
        The counts of the whole output, earlier runs included.

    Raises:
        FileNotFoundError: If there is no such source, or none of the first images to caption is there.
        ValueError: If there is nothing to caption, or the output belongs to something else.
        InUse: If another run writes to the same output.
        BackendUnavailable: If the backend gives up; what was finished is on disk.
        KeyboardInterrupt: If the run is interrupted or terminated; the same.
    """
    out = prepare_output(job.out)
    with lock_output(out), WorkList() as worklist:
        path = journal_path(out)
        if out.exists() and not path.exists():
            raise ValueError(f'{out} exists, but no run of this tool wrote it (no {path.name}); give another --out.')
        list_images(worklist, job.source, job.shard)
        with Journal(path, settings.as_dict(), job.fsync_seconds) as journal:
            root = job.image_root or default_image_root(job.source)
            finished = _replay(worklist, path, root, job.retry_failed)
            missing = worklist.count_missing()
            say(f'{len(worklist)} images: {finished} sentences are on disk, {missing} are missing')
            if missing:
                if not finished:
                    _check_root(root, worklist)
                backend = make_backend()
                with caption_bar(finished, missing) as advance:

                    def record(entry: Entry) -> None:
                        journal.append(entry)
                        worklist.set_answer(entry)
                        advance('failure' in entry, len(entry.get('problems', ())))

                    runner = CaptionRunner(backend, settings, prompts, root, record, attempts=job.attempts)
                    run_until_stopped(_ask(runner, backend, worklist))
        return finish_outputs(out, worklist, settings)


def _replay(worklist: WorkList, journal: Path, root: Path, retry_failed: bool) -> int:
    """Note what a journal holds about the images as they are; returns how many sentences that are."""
    finished = strangers = changed = 0
    for entry in read_entries(journal):
        if 'failure' in entry and retry_failed:
            continue
        if has_changed(entry, root / entry['path']):
            changed += 1
        elif worklist.set_answer(entry):
            finished += 1
        else:
            strangers += 1
    if strangers:
        warn(f'{strangers} sentences in {journal} are of images that are no longer there')
    if changed:
        warn(f'{changed} sentences in {journal} are of images that have changed since, and are left out')
    return finished


def _check_root(root: Path, worklist: WorkList) -> None:
    """A wrong root would make a failure of every image."""
    first = list(dict.fromkeys(item.file_path for item, _ in islice(worklist.missing(), _TRIED)))
    if not any((root / file_path).exists() for file_path in first):
        raise FileNotFoundError(
            f'none of the first {len(first)} images to caption is there, such as {root / first[0]}; give --image-root, '
            "the folder that the index's paths start in."
        )


async def _ask(runner: CaptionRunner, backend: CaptionBackend, worklist: WorkList) -> None:
    try:
        await runner.run(worklist.missing())
    finally:
        await backend.close()
