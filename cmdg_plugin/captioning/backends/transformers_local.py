"""Captions from a vision-language model in this process, through transformers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from jinja2 import TemplateError

from cmdg_plugin.captioning.backends.base import (
    CAPTION_BACKENDS,
    BackendUnavailable,
    CaptionAnswer,
    CaptionBackend,
    CaptionRequest,
    RequestFailed,
)
from cmdg_plugin.captioning.images import MIN_SIDE, load_view
from cmdg_plugin.extras import import_extra

_DTYPES = ('auto', 'bfloat16', 'float16', 'float32')
_Waiting = tuple[CaptionRequest, Any, 'asyncio.Future[CaptionAnswer]']


@CAPTION_BACKENDS.register_module(name='transformers')
class TransformersLocal(CaptionBackend):
    """Answers in batches of whatever waits; images are read while the model works on the batch before.

    With temperature 0 the answer depends on image and question alone, up to the rounding of other batch sizes. With
    sampling, a batch draws from its first request's seed, so a run that was interrupted may draw other words.

    Args:
        model: Name on the hub or local folder, of any image-text-to-text model with a chat template.
        batch_size: Requests at once.
        device: Such as `cuda` or `cpu`; by default a GPU if there is one.
        dtype: `auto` (as saved), `bfloat16`, `float16` or `float32`.
        min_side: Images with a side of fewer pixels are scaled up.

    Raises:
        ImportError: If transformers is not installed.
        ValueError: If a value is outside its range.
        OSError: If there is no such model.
    """

    def __init__(
        self,
        model: str,
        *,
        batch_size: int = 8,
        device: str | None = None,
        dtype: str = 'auto',
        min_side: int = MIN_SIDE,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}.')
        if dtype not in _DTYPES:
            raise ValueError(f'unknown dtype {dtype!r}; expected one of {", ".join(_DTYPES)}.')
        transformers = import_extra('transformers', 'captions-local')
        if min_side < 1:
            raise ValueError(f'min_side must be at least 1, got {min_side}.')
        self._batch_size = batch_size
        self._min_side = min_side
        self._device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        self._processor = transformers.AutoProcessor.from_pretrained(model)
        # Generation goes on at the right end, so shorter questions are filled up on the left.
        self._processor.tokenizer.padding_side = 'left'
        self._model = transformers.AutoModelForImageTextToText.from_pretrained(model, dtype=dtype)
        self._model.to(self._device).eval()
        self._waiting: asyncio.Queue[_Waiting] | None = None
        self._server: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='captioner')

    @property
    def max_in_flight(self) -> int:
        """How many requests to keep waiting for an answer at any time."""
        # Twice the batch, so that the next one is read when this one ends.
        return 2 * self._batch_size

    async def answer(self, request: CaptionRequest) -> CaptionAnswer:
        """Answer one question; see `CaptionBackend.answer`."""
        image = await asyncio.to_thread(load_view, request.image, request.third, self._min_side)
        if self._waiting is None or self._server is None:
            self._waiting = asyncio.Queue()
            self._server = asyncio.create_task(self._serve(self._waiting))
        future: asyncio.Future[CaptionAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((request, image, future))
        await asyncio.wait((future, self._server), return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            # Whatever ended the server also ends the run; waiting on would be for ever.
            self._server.result()
        return future.result()

    async def _serve(self, waiting: 'asyncio.Queue[_Waiting]') -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await waiting.get()]
            # Give those whose image has just been read the time to join.
            await asyncio.sleep(0)
            while len(batch) < self._batch_size and not waiting.empty():
                batch.append(waiting.get_nowait())
            await self._answer_batch(loop, batch)

    async def _answer_batch(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting]) -> None:
        try:
            answers = await loop.run_in_executor(self._thread, self._generate, batch)
        except (RuntimeError, ValueError, IndexError, TypeError, TemplateError) as error:
            if len(batch) > 1 and not isinstance(error, torch.OutOfMemoryError):
                # One image that the model cannot take must not cost the others their answers.
                for waiting in batch:
                    await self._answer_batch(loop, [waiting])
                return
            for _, _, future in batch:
                if not future.done():
                    future.set_exception(self._judge(error, len(batch)))
            return
        for (_, _, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    @staticmethod
    def _judge(error: Exception, size: int) -> Exception:
        if isinstance(error, torch.OutOfMemoryError):
            return BackendUnavailable(f'no memory for a batch of {size}; lower the batch size ({error})')
        return RequestFailed(f'{type(error).__name__}: {error}')

    @torch.inference_mode()
    def _generate(self, batch: list[_Waiting]) -> list[CaptionAnswer]:
        requests = [request for request, _, _ in batch]
        questions = [
            self._processor.apply_chat_template(_conversation(request), tokenize=False, add_generation_prompt=True)
            for request in requests
        ]
        images = [[image] for _, image, _ in batch]
        inputs = self._processor(text=questions, images=images, padding=True, return_tensors='pt')
        inputs = inputs.to(self._device, dtype=self._model.dtype)
        first = requests[0]
        sampling: dict[str, Any] = {'do_sample': False, 'temperature': None, 'top_p': None, 'top_k': None}
        if first.temperature:
            torch.manual_seed(first.seed)
            sampling = {'do_sample': True, 'temperature': first.temperature}
        output = self._model.generate(**inputs, max_new_tokens=max(r.max_tokens for r in requests), **sampling)
        new = output[:, inputs['input_ids'].shape[1] :]
        ends = self._end_tokens().to(new.device)
        texts = self._processor.batch_decode(new, skip_special_tokens=True)
        complete = torch.isin(new, ends).any(1).tolist()
        return [CaptionAnswer(text, done) for text, done in zip(texts, complete, strict=True)]

    def _end_tokens(self) -> torch.Tensor:
        end = self._model.generation_config.eos_token_id
        if end is None:
            return torch.tensor([])
        return torch.tensor(end if isinstance(end, list) else [end])

    async def close(self) -> None:
        """Stop answering, once the batch in hand is done."""
        if self._server is not None:
            self._server.cancel()
        # The batch in hand cannot be stopped; its answers are dropped.
        self._thread.shutdown(wait=True, cancel_futures=True)


def _conversation(request: CaptionRequest) -> list[dict[str, Any]]:
    content = [{'type': 'image'}, {'type': 'text', 'text': request.question}]
    system = {'role': 'system', 'content': [{'type': 'text', 'text': request.system}]}
    return [system, {'role': 'user', 'content': content}]
