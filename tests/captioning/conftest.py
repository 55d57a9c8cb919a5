"""A chat server with faults, a tiny vision-language model, images and the tools, for the tests of captioning."""

import asyncio
import hashlib
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

REPOSITORY = Path(__file__).parents[2]
REGIONS = ('global', 'upper', 'middle', 'lower')
COLORS = ('red', 'green', 'blue', 'black', 'white', 'yellow', 'pink', 'gray')
GARMENTS = ('jacket', 'shirt', 'coat', 'sweater', 'dress', 'hoodie', 'vest', 'suit')
THINGS = ('a bag', 'an umbrella', 'a phone', 'a bottle', 'a box', 'a camera', 'a dog', 'a book')


def sentence_for(content: bytes, region: str) -> str:
    """What the test server says about an image: other words for other bytes, and the region's name."""
    digest = hashlib.sha256(content).digest()
    color, garment, thing = COLORS[digest[0] % 8], GARMENTS[digest[1] % 8], THINGS[digest[2] % 8]
    return f'A person in a {color} {garment} with {thing} and the number {digest.hex()[:8]}, {region} view.'


def region_asked(question: str) -> str:
    """Which region a question of the shipped prompts is about."""
    names = {'upper third': 'upper', 'middle third': 'middle', 'lower third': 'lower'}
    return next((region for words, region in names.items() if words in question), 'global')


LOGIN_PAGE = b'<!DOCTYPE html><html><head><title>Sign in - Example</title></head><body>...</body></html>'


class ChatServer:
    """A real HTTP server on loopback that speaks the chat-completions protocol, and breaks it on request.

    `fault(number, body)` names what to do with the n-th request: None or `delay:SECONDS` to answer, `busy` (429 with
    Retry-After), `error` (500, repeating the request's key), `reject` (400), `key` (401), `cut`, `garbage`, `odd`
    (JSON of another shape), `silent` (never answers), `long` (stopped at the token limit), the text to answer with
    after `say:`, or a whole reply: status, body and headers.
    """

    def __init__(self) -> None:
        self.fault: Callable[[int, dict], str | tuple[int, bytes, dict[str, str]] | None] = lambda number, body: None
        self.alive: Callable[[], bool] = lambda: True
        self.requests = 0
        self.bodies: list[dict] = []
        self.keep_bodies = True
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}/v1'

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, '127.0.0.1', 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    def close(self) -> None:
        def stop() -> None:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            asyncio.gather(*tasks, return_exceptions=True).add_done_callback(lambda _: self._loop.stop())

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(20)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b'\r\n\r\n'):
                lines = head.decode().split('\r\n')
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(':') for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers.get('content-length', 0)))
                if not await self._answer(lines[0], headers, body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: str, headers: dict, body: bytes, writer: asyncio.StreamWriter) -> bool:
        if not self.alive():
            return False
        if line.startswith('GET'):
            if 'login' in line:
                return await self._send(writer, 200, LOGIN_PAGE, {'content-type': 'text/html'})
            return await self._send(writer, 200, {'object': 'list', 'data': []})
        number, self.requests = self.requests, self.requests + 1
        request = json.loads(body)
        if self.keep_bodies:
            self.bodies.append(request)
        fault = self.fault(number, request) or ''
        if isinstance(fault, tuple):
            return await self._send(writer, *fault)
        kind, _, detail = fault.partition(':')
        if kind in ('busy', 'error', 'reject', 'key'):
            status = {'busy': 429, 'error': 500, 'reject': 400, 'key': 401}[kind]
            message = f'{kind}; you sent {headers["authorization"]}'
            return await self._send(writer, status, {'error': {'message': message}}, {'Retry-After': detail or '0.05'})
        if kind == 'garbage':
            return await self._send(writer, 200, b'<html>proxy says no</html>')
        if kind == 'odd':
            return await self._send(writer, 200, {'choices': [{'message': {'content': {'deep': 1}}}]})
        if kind == 'silent':
            await asyncio.sleep(30)
            return False
        if kind == 'delay':
            await asyncio.sleep(float(detail))
        image, question = _parts(request)
        text = detail if kind == 'say' else sentence_for(image, region_asked(question))
        finish = 'length' if kind == 'long' else 'stop'
        answer = {'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': text}, 'finish_reason': finish}]}
        if kind == 'cut':
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"choi')
            await writer.drain()
            return False
        return await self._send(writer, 200, answer)

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict | None = None) -> bool:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        every = {'content-type': 'application/json', 'content-length': len(content), **(headers or {})}
        extra = ''.join(f'{key}: {value}\r\n' for key, value in every.items())
        head = f'HTTP/1.1 {status} X\r\n{extra}\r\n'
        writer.write(head.encode() + content)
        await writer.drain()
        return True


def _parts(request: dict) -> tuple[bytes, str]:
    import base64

    image, text = request['messages'][-1]['content']
    return base64.b64decode(image['image_url']['url'].partition(',')[2]), text['text']


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A server that answers at once until it is told otherwise."""
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def make_images(tmp_path: Path) -> Callable[..., Path]:
    """Write small PNG images of different content with Market-1501-like names; returns their folder."""

    def write(count: int, name: str = 'images') -> Path:
        root = tmp_path / name
        (root / 'bounding_box_train').mkdir(parents=True)
        rng = np.random.default_rng(0)
        for number in range(count):
            pixels = rng.integers(0, 256, (32, 28, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(
                root / f'bounding_box_train/{number // 2:04d}_c{number % 2 + 1}s1_{number:06d}.png'
            )
        return root

    return write


@pytest.fixture
def expected_captions() -> Callable[[Path, str], list[str]]:
    """What the chat server says about an image file, region by region."""
    return lambda root, file_path: [sentence_for((root / file_path).read_bytes(), region) for region in REGIONS]


def load_tool(name: str) -> ModuleType:
    """Import one of the tools."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def caption_tool(tmp_path: Path) -> Callable[..., int]:
    """Run `tools/generate_captions.py` in this process; gives its exit code."""
    tool = load_tool('generate_captions')
    return lambda *arguments: tool.main([str(argument) for argument in arguments])


@pytest.fixture
def report_tool() -> Callable[..., int]:
    """Run `tools/caption_report.py` in this process; gives its exit code."""
    tool = load_tool('caption_report')
    return lambda *arguments: tool.main([str(argument) for argument in arguments])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What MMEngine's logger says."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level('INFO', logger=logger.name)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture
def read_journal() -> Callable[[Path], list[dict]]:
    """The lines of a journal behind its header."""
    return lambda path: [json.loads(line) for line in path.read_bytes().splitlines()[1:]]


SHORT_PROMPTS = """
version: tiny
system: Short.
views:
  whole: {global: ["Whole?"], upper: ["Upper?"], middle: ["Middle?"], lower: ["Lower?"]}
  crop: {upper: ["Upper?"], middle: ["Middle?"], lower: ["Lower?"]}
corrections: {empty: E, refused: R, too_long: L, too_short: S, cut_off: C, not_english: N, markup: M, repeated: T}
"""
QUESTIONS = {'global': 'Whole?', 'upper': 'Upper?', 'middle': 'Middle?', 'lower': 'Lower?'}
TAUGHT = {
    'global': 'A person in {} clothes walks.',
    'upper': 'A {} cap on the head.',
    'middle': 'A {} shirt with a bag.',
    'lower': 'The {} pants and shoes.',
}


@pytest.fixture(scope='session')
def short_prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prompts file of a few letters a question, for a model that reads letter by letter."""
    path = tmp_path_factory.mktemp('prompts') / 'short.yaml'
    path.write_text(SHORT_PROMPTS)
    return path


@pytest.fixture(scope='session')
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two Qwen2.5-VL of 115,000 weights in the real format: one random, one taught to caption red and blue images."""
    pytest.importorskip('transformers')
    folder = tmp_path_factory.mktemp('vlm')
    model, processor = _build_vlm()
    for name in ('random', 'taught'):
        if name == 'taught':
            _teach(model, processor)
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder / 'random', folder / 'taught'


_SPECIAL = ('<|im_start|>', '<|im_end|>', '<|vision_start|>', '<|vision_end|>', '<|image_pad|>', '<|video_pad|>')
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
)


def _build_vlm() -> tuple[Any, Any]:
    import torch
    import transformers as tr
    from tokenizers.pre_tokenizers import ByteLevel

    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = tr.Qwen2TokenizerFast(
        vocab=letters, merges=[], additional_special_tokens=list(_SPECIAL), eos_token='<|im_end|>', unk_token=None
    )
    tokenizer.pad_token = '<|endoftext|>'
    images = tr.Qwen2VLImageProcessor(min_pixels=2 * 28 * 28, max_pixels=16 * 28 * 28)
    processor = tr.Qwen2_5_VLProcessor(images, tokenizer, tr.Qwen2VLVideoProcessor(), chat_template=_CHAT_TEMPLATE)
    number = dict(zip(_SPECIAL, tokenizer.convert_tokens_to_ids(list(_SPECIAL)), strict=True))
    ends = {'eos_token_id': number['<|im_end|>'], 'pad_token_id': tokenizer.pad_token_id}
    config = tr.Qwen2_5_VLConfig(
        text_config={
            'vocab_size': len(tokenizer),
            'hidden_size': 32,
            'intermediate_size': 64,
            'num_hidden_layers': 2,
            'num_attention_heads': 4,
            'num_key_value_heads': 2,
            'rope_parameters': {'rope_type': 'default', 'rope_theta': 10000.0, 'mrope_section': [1, 1, 2]},
            **ends,
        },
        vision_config={
            'depth': 2,
            'hidden_size': 32,
            'intermediate_size': 64,
            'num_heads': 2,
            'out_hidden_size': 32,
            'patch_size': 14,
            'window_size': 56,
            'fullatt_block_indexes': [1],
        },
        image_token_id=number['<|image_pad|>'],
        video_token_id=number['<|video_pad|>'],
        vision_start_token_id=number['<|vision_start|>'],
        vision_end_token_id=number['<|vision_end|>'],
    )
    torch.manual_seed(0)
    model = tr.Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = ends['eos_token_id']
    model.generation_config.pad_token_id = ends['pad_token_id']
    return model, processor


def _teach(model: Any, processor: Any) -> None:
    """Two colors, four regions: the answers need the image and the question."""
    import torch

    texts, images = [], []
    for color in ('red', 'blue'):
        for region, question in QUESTIONS.items():
            user = [{'type': 'image'}, {'type': 'text', 'text': question}]
            system = [{'type': 'text', 'text': 'Short.'}]
            conversation = [{'role': 'system', 'content': system}, {'role': 'user', 'content': user}]
            asked = processor.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
            texts.append(f'{asked}{TAUGHT[region].format(color)}<|im_end|>')
            images.append([Image.new('RGB', (28, 56), color)])
    processor.tokenizer.padding_side = 'left'
    batch = processor(text=texts, images=images, padding=True, return_tensors='pt')
    start = processor.tokenizer.convert_tokens_to_ids('<|im_start|>')
    labels = batch['input_ids'].clone()
    for row in labels:
        # Only the answer is learned: behind the last start, the word `assistant` and its line end.
        row[: int((row == start).nonzero()[-1]) + len('assistant') + 2] = -100
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.005:
            return
    raise RuntimeError(f'the tiny model did not learn its eight sentences; loss {loss:.3f}')


@pytest.fixture(scope='session', autouse=True)
def _no_hub() -> Iterator[None]:
    """Nothing in these tests may look for a model on the hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HF_HUB_OFFLINE', '1')
        yield
