"""A chat server, a tiny vision-language model, images and the tools, for the tests of captioning."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import caption_report
import generate_captions
import numpy as np
import pytest
from helpers.chat_server import REGIONS, ChatServer, sentence_for
from PIL import Image

from cmdg_plugin.clip_length import ClipLength

REPOSITORY = Path(__file__).parents[2]


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


@pytest.fixture
def caption_tool(tmp_path: Path) -> Callable[..., int]:
    """Run `tools/generate_captions.py` in this process; gives its exit code."""
    return lambda *arguments: generate_captions.main([str(argument) for argument in arguments])


@pytest.fixture
def report_tool() -> Callable[..., int]:
    """Run `tools/caption_report.py` in this process; gives its exit code."""
    return lambda *arguments: caption_report.main([str(argument) for argument in arguments])


@pytest.fixture
def read_journal() -> Callable[[Path], list[dict]]:
    """The lines of a journal after its header."""
    return lambda path: [json.loads(line) for line in path.read_bytes().splitlines()[1:]]


@pytest.fixture(scope='session')
def length() -> ClipLength:
    """Counts tokens of captions."""
    return ClipLength()


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
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    tr: Any = transformers
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
        # Only the answer is learned: after the last start, the word `assistant` and its line end.
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
