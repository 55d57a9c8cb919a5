"""A captioning backend that answers what a function says, and runs with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmdg_plugin.captioning import (
    CAPTION_BACKENDS,
    CaptionAnswer,
    CaptionBackend,
    CaptionJob,
    CaptionSettings,
    generate_captions,
    load_prompts,
)
from cmdg_plugin.captioning.backends import CaptionRequest
from cmdg_plugin.captioning.images import load_view
from cmdg_plugin.captioning.output import RunSummary

GOOD = 'A man in a red coat carries a bag.'


PROMPTS = load_prompts()


SETTINGS = CaptionSettings('a-model', PROMPTS.version)


@CAPTION_BACKENDS.register_module(name='scripted')
class Scripted(CaptionBackend):
    """Answers what a function says."""

    def __init__(self, answer: Callable[[CaptionRequest], str] = lambda request: GOOD, model: str = '') -> None:
        self.requests, self.closed = [], False
        self._answer = answer

    @property
    def max_in_flight(self) -> int:
        return 3

    async def answer(self, request: CaptionRequest) -> CaptionAnswer:
        self.requests.append(request)
        load_view(request.image, request.third)
        return CaptionAnswer(self._answer(request))

    async def close(self) -> None:
        self.closed = True


def generate(
    root: Path,
    out: Path,
    backend: Scripted | None = None,
    settings: CaptionSettings = SETTINGS,
    **job: Any,
) -> RunSummary:
    return generate_captions(CaptionJob(root, out, **job), settings, PROMPTS, lambda: backend or Scripted())
