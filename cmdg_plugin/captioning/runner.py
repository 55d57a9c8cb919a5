"""Asking for sentences, many at once, until each is a caption or has failed for good."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cmdg_plugin.captioning.backends.base import (
    BackendUnavailable,
    CaptionBackend,
    CaptionRequest,
    RequestFailed,
)
from cmdg_plugin.captioning.cleaning import clean_caption
from cmdg_plugin.captioning.image_state import image_state
from cmdg_plugin.captioning.images import UnreadableImage
from cmdg_plugin.captioning.leaks import holds_secret
from cmdg_plugin.captioning.plain_text import one_line
from cmdg_plugin.captioning.prompts import PromptBook
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets.caption_fields import CaptionRecord

Entry = dict[str, Any]
"""A line of the journal: `path`, `region` and either `caption` or `failure`; `problems` of earlier answers, `fixes`; of
the image's file, its `size` and when it was `changed`."""

_FEWEST_FAILURES_TO_STOP = 50


class CaptionRunner:
    """Keeps a backend busy and writes every finished sentence down at once.

    Args:
        backend: Answers the questions.
        settings: What the answers depend on.
        prompts: The questions.
        image_root: Where the images' paths start.
        record: Called with each finished sentence.
        attempts: How often a sentence is asked for in all, before it fails for good; at least once.
    """

    def __init__(
        self,
        backend: CaptionBackend,
        settings: CaptionSettings,
        prompts: PromptBook,
        image_root: Path,
        record: Callable[[Entry], None],
        *,
        attempts: int,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._prompts = prompts
        self._image_root = image_root
        self._record = record
        self._attempts = attempts
        self._length = ClipLength()
        # Failures in a row are held back until an answer shows that the model works at all.
        self._held: deque[Entry] = deque()

    async def run(self, missing: Iterator[tuple[CaptionRecord, str]]) -> None:
        """Ask for all missing sentences, with as many requests in flight as the backend wants.

        Args:
            missing: Images and regions; taken one at a time, when a request ends.

        Raises:
            BackendUnavailable: If the backend gives up, or dozens of sentences in a row fail.
            OSError: If a sentence cannot be written down.
        """
        workers = [asyncio.create_task(self._work(missing)) for _ in range(self._backend.max_in_flight)]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        self._release_held()

    async def _work(self, missing: Iterator[tuple[CaptionRecord, str]]) -> None:
        for item, region in missing:
            entry = await self._finish(item, region)
            if 'caption' in entry:
                self._release_held()
                self._record(entry)
            elif 'unreadable' in entry:
                self._record(entry)
            else:
                self._hold(entry)
            # A backend that never waits would leave no moment for Ctrl-C.
            await asyncio.sleep(0)

    async def _finish(self, item: CaptionRecord, region: str) -> Entry:
        """Ask until there is a caption, at most `attempts` times."""
        # Its state before it is read: an image that is replaced meanwhile is asked about again by the next run.
        entry: Entry = {'path': item.file_path, 'region': region, **image_state(self._image_root / item.file_path)}
        problems: list[str] = []
        for attempt in range(self._attempts):
            request = self._request(item, region, attempt, problems[-1] if problems else None)
            try:
                answer = await self._backend.answer(request)
            except UnreadableImage as error:
                return {**entry, 'failure': one_line(f'unreadable image: {error}'), 'unreadable': True}
            except RequestFailed as error:
                return {**entry, 'failure': one_line(str(error)) or 'no reason given', **_if_any(problems=problems)}
            # In a thread, the tokenizer would hold the interpreter just the same.
            clean = clean_caption(answer.text, self._length, answer.complete)
            secrets = self._backend.secrets
            leaked = holds_secret(answer.text, secrets) or holds_secret(clean.text, secrets)
            problem = 'suspicious' if leaked else clean.problem
            if problem is None:
                return {**entry, 'caption': clean.text, **_if_any(fixes=list(clean.fixes), problems=problems)}
            problems.append(problem)
        return {**entry, 'failure': f'no usable answer: {", ".join(problems)}', 'problems': problems}

    def _request(self, item: CaptionRecord, region: str, attempt: int, problem: str | None) -> CaptionRequest:
        settings = self._settings
        return CaptionRequest(
            image=self._image_root / item.file_path,
            third=None if region == 'global' or settings.view == 'whole' else region,
            system=self._prompts.system,
            question=self._prompts.ask(settings, item.file_path, region, problem),
            temperature=settings.temperature,
            seed=settings.seed_for(item.file_path, region, attempt),
            max_tokens=settings.max_tokens,
        )

    def _hold(self, entry: Entry) -> None:
        self._held.append(entry)
        if len(self._held) >= max(_FEWEST_FAILURES_TO_STOP, 2 * self._backend.max_in_flight):
            raise BackendUnavailable(
                f'the last {len(self._held)} sentences all failed, so something is wrong with the model or the server '
                f'rather than with the images; they are not recorded. The last one: {entry["failure"]}'
            )

    def _release_held(self) -> None:
        while self._held:
            self._record(self._held[0])
            self._held.popleft()


def _if_any(**lists: list[str]) -> dict[str, list[str]]:
    return {key: values for key, values in lists.items() if values}
