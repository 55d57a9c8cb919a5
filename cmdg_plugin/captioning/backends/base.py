"""What a captioning backend is: something that answers one question about one image."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from mmengine.registry import Registry

CAPTION_BACKENDS = Registry('caption backend', scope='cmdg_plugin', locations=['cmdg_plugin.captioning.backends'])
"""Backends by name. A third one: a subclass of `CaptionBackend`, registered here in a module that is imported."""


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """One question about one image.

    Attributes:
        image: The image file.
        third: `upper`, `middle` or `lower` where only that third is to be shown; None for the whole image.
        system: What the model is told before the question.
        question: The question.
        temperature: Sampling temperature; 0 takes the likeliest word each time.
        seed: Seed of this request, where the backend can seed one.
        max_tokens: The longest answer, in the model's tokens.
    """

    image: Path
    third: str | None
    system: str
    question: str
    temperature: float
    seed: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class CaptionAnswer:
    """What the model wrote.

    Attributes:
        text: The answer, as it came.
        complete: Whether the model ended by itself, rather than at `max_tokens`.
    """

    text: str
    complete: bool = True


class RequestFailed(Exception):
    """This request cannot be answered, though others may; the message says why."""


class BackendUnavailable(Exception):
    """Nothing can be answered at the moment: the run stops, and continues when it is started again."""


class CaptionBackend(ABC):
    """Answers questions, many at once."""

    @property
    @abstractmethod
    def max_in_flight(self) -> int:
        """How many requests to keep waiting for an answer at any time."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no caption, file or message may hold, such as the key of a server; none by default."""
        return ()

    @abstractmethod
    async def answer(self, request: CaptionRequest) -> CaptionAnswer:
        """Answer one question.

        Raises:
            UnreadableImage: If the image cannot be read.
            RequestFailed: If this question cannot be answered, after the backend's own retries.
            BackendUnavailable: If none can.
        """

    async def close(self) -> None:
        """Let go of connections and workers."""
        return
