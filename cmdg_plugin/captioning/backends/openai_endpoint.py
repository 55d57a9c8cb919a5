"""Captions from OpenAI-compatible servers (vLLM and others): one or many, with many requests in flight."""

import asyncio
import os
import time
from collections.abc import Sequence

from cmdg_plugin.captioning.backends.base import (
    CAPTION_BACKENDS,
    BackendUnavailable,
    CaptionAnswer,
    CaptionBackend,
    CaptionRequest,
    RequestFailed,
)
from cmdg_plugin.captioning.backends.endpoint import Endpoint, EndpointTrouble, Fault
from cmdg_plugin.captioning.images import MIN_SIDE, encode_view
from cmdg_plugin.extras import import_extra
from cmdg_plugin.saying import warn


@CAPTION_BACKENDS.register_module(name='endpoint')
class OpenAIEndpoint(CaptionBackend):
    """Asks the least busy of several servers, waits for those in trouble, and tells a bad image from a dead server.

    A request that gets no usable answer is tried again, on another server if there is one. It counts against the image
    only while its server answers at all; a server that does not is left alone for a while, and once nothing has been
    answered for `patience` seconds, the run stops.

    Args:
        endpoints: Base URLs, such as `http://127.0.0.1:8000/v1`.
        model: The model's name there.
        in_flight: Requests at once, for each server.
        timeout: Seconds for one try.
        max_retries: Tries after the first, before a request is taken elsewhere; `Retry-After` is honored by
            them up to a minute, by leaving the server alone beyond that.
        patience: Seconds without any answer after which the servers count as dead.
        max_side: Larger images are scaled down to this many pixels.
        min_side: Images with a side of fewer pixels are scaled up.
        api_key_variable: Environment variable that holds the key; servers without keys need none.

    Raises:
        ImportError: If the client is not installed.
        ValueError: If there is no endpoint, a URL is none, or a number is outside its range.
    """

    _TRIES = 3

    def __init__(
        self,
        endpoints: Sequence[str],
        model: str,
        *,
        in_flight: int = 16,
        timeout: float = 120.0,
        max_retries: int = 4,
        patience: float = 600.0,
        max_side: int = 1280,
        min_side: int = MIN_SIDE,
        api_key_variable: str = 'OPENAI_API_KEY',
    ) -> None:
        if not endpoints:
            raise ValueError('no endpoint; give the URL of a server, such as http://127.0.0.1:8000/v1.')
        if in_flight < 1:
            raise ValueError(f'in_flight must be at least 1, got {in_flight}.')
        if not (timeout > 0 and patience > 0 and max_retries >= 0):
            raise ValueError(
                f'expected timeout and patience above 0 and max_retries of at least 0, got {timeout}, {patience} and '
                f'{max_retries}.'
            )
        if not 1 <= min_side <= max_side:
            raise ValueError(f'expected 1 <= min_side <= max_side, got {min_side} and {max_side} pixels.')
        openai = import_extra('openai', 'captions')
        key = os.environ.get(api_key_variable) or 'no-key'
        self._endpoints = [
            Endpoint(openai, url, model, key, in_flight=in_flight, timeout=timeout, max_retries=max_retries)
            for url in endpoints
        ]
        self._in_flight = in_flight
        self._patience = patience
        self._sides = (min_side, max_side)
        self._last_answer = time.monotonic()
        self._warned: set[str] = set()

    @property
    def max_in_flight(self) -> int:
        """How many requests to keep waiting for an answer at any time."""
        return self._in_flight * len(self._endpoints)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key, and what else is secret in the URLs."""
        return tuple({secret for endpoint in self._endpoints for secret in endpoint.secrets})

    async def answer(self, request: CaptionRequest) -> CaptionAnswer:
        """Answer one question; see `CaptionBackend.answer`."""
        min_side, max_side = self._sides
        image_url = await asyncio.to_thread(encode_view, request.image, request.third, max_side, min_side)
        tries = 0
        while True:
            endpoint = await self._pick()
            answered = endpoint.answered
            try:
                answer = await endpoint.ask(request, image_url)
            except EndpointTrouble as trouble:
                stranger = trouble.fault is Fault.PAGE and not endpoint.answered
                if await self._is_dead(endpoint, trouble, answered) and not stranger:
                    continue
                tries += 1
                if tries < self._TRIES:
                    continue
                if stranger:
                    # A server that has never been one: waiting for it would not help.
                    raise BackendUnavailable(str(trouble)) from None
                raise RequestFailed(f'no usable answer in {tries} tries: {trouble}') from None
            self._last_answer = time.monotonic()
            return answer

    async def _is_dead(self, endpoint: Endpoint, trouble: EndpointTrouble, answered: int) -> bool:
        """Whether the server rather than the request is to blame; where so, it gets a rest."""
        served_others = endpoint.answered > answered
        dead = trouble.fault in (Fault.BUSY, Fault.PAGE) or not (served_others or await endpoint.is_alive())
        if dead:
            if endpoint.name not in self._warned:
                self._warned.add(endpoint.name)
                warn(f'{endpoint.name} is in trouble, waiting for it: {trouble}')
            endpoint.rest(trouble.wait)
            self._check_patience(trouble)
            if trouble.wait > self._patience:
                # A server that names a long wait is not dead: patience begins when the wait is over.
                self._last_answer = max(self._last_answer, endpoint.free_at)
        return dead

    def _check_patience(self, trouble: EndpointTrouble) -> None:
        if time.monotonic() - self._last_answer > self._patience:
            names = ', '.join(endpoint.name for endpoint in self._endpoints)
            raise BackendUnavailable(f'no answer from {names} for {self._patience:.0f} s; last trouble: {trouble}')

    async def _pick(self) -> Endpoint:
        while True:
            now = time.monotonic()
            free = [endpoint for endpoint in self._endpoints if endpoint.free_at <= now]
            if free:
                return min(free, key=lambda endpoint: endpoint.in_flight)
            await asyncio.sleep(min(endpoint.free_at for endpoint in self._endpoints) - now)

    async def close(self) -> None:
        """Close the connections to all servers."""
        for endpoint in self._endpoints:
            await endpoint.close()
