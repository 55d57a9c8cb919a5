import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip('transformers')

from typing import NoReturn

from cmdg_plugin.captioning.backends import CaptionRequest, RequestFailed, TransformersLocal
from cmdg_plugin.datasets import load_captions


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / 'images'
    folder.mkdir()
    for number, color in enumerate(('red', 'blue', 'blue', 'red', 'red')):
        Image.new('RGB', (28, 56), color).save(folder / f'{number:04d}_{color}.png')
    return folder


def test_captions_whole_folders(
    images: Path, tiny_vlm: tuple[Path, Path], short_prompts: Path, tmp_path: Path, caption_tool: Callable[..., int]
) -> None:
    out = tmp_path / 'captions.json'
    arguments = ('--backend', 'transformers', '--model', tiny_vlm[1], '--prompts', short_prompts, '--batch-size', 3)
    assert caption_tool(images, '--out', out, *arguments, '--device', 'cpu', '--dtype', 'float32') == 0
    for record in load_captions(out):
        # The answers need image, question and the padding of unequal questions to be right.
        color = record.file_path.removesuffix('.png').partition('_')[2]
        assert record.captions == (
            f'A person in {color} clothes walks.',
            f'A {color} cap on the head.',
            f'A {color} shirt with a bag.',
            f'The {color} pants and shoes.',
        )
    stored = json.loads(out.read_text())
    assert len(stored) == 5
    assert stored[0]['model'] == str(tiny_vlm[1])
    assert stored[0]['prompt_version'].startswith('tiny-')
    assert stored[0]['seed'] == 0


def test_a_random_model_fails_honestly(
    images: Path, tiny_vlm: tuple[Path, Path], tmp_path: Path, caption_tool: Callable[..., int]
) -> None:
    out = tmp_path / 'captions.json'
    arguments = ('--backend', 'transformers', '--model', tiny_vlm[0], '--max-tokens', 8, '--device', 'cpu')
    assert caption_tool(images, '--out', out, *arguments, '--view', 'crop', '--wording', 'varied') == 3
    assert json.loads(out.read_text()) == []
    failed = json.loads((tmp_path / 'captions.failed.json').read_text())
    assert len(failed) == 5
    assert all(set(record['failures']) == {'global', 'upper', 'middle', 'lower'} for record in failed)
    assert json.loads((tmp_path / 'captions.summary.json').read_text())['failed'] == 5


def test_small_images_are_scaled_up(tiny_vlm: tuple[Path, Path], tmp_path: Path) -> None:
    Image.new('RGB', (7, 14), 'blue').save(tmp_path / 'small.png')
    request = CaptionRequest(tmp_path / 'small.png', None, 'Short.', 'Whole?', 0.0, 0, 60)
    assert answers_of(tiny_vlm[1], [request])[0].text == 'A person in blue clothes walks.'


def answers_of(model: Path, requests: list[CaptionRequest], **options: Any) -> list:
    async def run() -> list:
        backend = TransformersLocal(str(model), device='cpu', **options)
        try:
            return await asyncio.gather(*(backend.answer(each) for each in requests), return_exceptions=True)
        finally:
            await backend.close()

    return asyncio.run(run())


def request(image: Path, question: str = 'Whole?', **changes: Any) -> CaptionRequest:
    values = {'third': None, 'system': 'Short.', 'temperature': 0.0, 'seed': 7, 'max_tokens': 40, **changes}
    return CaptionRequest(image=image, question=question, **values)


def test_seed_and_temperature(images: Path, tiny_vlm: tuple[Path, Path]) -> None:
    image = images / '0000_red.png'
    hot = [request(image, temperature=1.5, seed=seed, max_tokens=12) for seed in (1, 1, 2)]
    first, same, other = answers_of(tiny_vlm[0], hot, batch_size=1)
    assert first.text == same.text != other.text
    cold = [request(image, seed=seed, max_tokens=12) for seed in (1, 2)]
    first, other = answers_of(tiny_vlm[0], cold, batch_size=1)
    assert first.text == other.text
    assert not first.complete


def test_the_model_ended_by_itself(images: Path, tiny_vlm: tuple[Path, Path]) -> None:
    whole, part = answers_of(
        tiny_vlm[1], [request(images / '0000_red.png'), request(images / '0000_red.png', max_tokens=5)], batch_size=1
    )
    assert whole.complete
    assert not part.complete


def test_an_image_that_the_model_cannot_take_fails_alone(
    images: Path, tiny_vlm: tuple[Path, Path], tmp_path: Path
) -> None:
    Image.new('RGB', (1000, 2), 'red').save(tmp_path / 'line.png')
    requests = [request(images / '0000_red.png'), request(tmp_path / 'line.png'), request(images / '0001_blue.png')]
    red, line, blue = answers_of(tiny_vlm[1], requests, batch_size=3)
    assert red.text == 'A person in red clothes walks.'
    assert isinstance(line, RequestFailed)
    assert blue.text == 'A person in blue clothes walks.'


def test_a_template_that_refuses_is_reported(images: Path, tiny_vlm: tuple[Path, Path], tmp_path: Path) -> None:
    model = tmp_path / 'model'
    shutil.copytree(tiny_vlm[1], model)
    (model / 'chat_template.jinja').write_text("{{ raise_exception('no system role here') }}")
    (answer,) = answers_of(model, [request(images / '0000_red.png')])
    assert isinstance(answer, RequestFailed)
    assert 'no system role here' in str(answer)


def test_an_unexpected_error_ends_the_run_instead_of_hanging(
    images: Path, tiny_vlm: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, batch: Any) -> NoReturn:
        raise KeyError('surprise')

    monkeypatch.setattr(TransformersLocal, '_generate', fail)
    answers = answers_of(tiny_vlm[1], [request(images / '0000_red.png')] * 3, batch_size=2)
    assert [type(answer) for answer in answers] == [KeyError] * 3


def test_wrong_arguments(tmp_path: Path, caption_tool: Callable[..., int], images: Path) -> None:
    with pytest.raises(ValueError, match='unknown dtype'):
        TransformersLocal('m', dtype='int3')
    with pytest.raises(ValueError, match='batch_size'):
        TransformersLocal('m', batch_size=0)
    with pytest.raises(ValueError, match='min_side'):
        TransformersLocal('m', min_side=0)
    arguments = ('--out', tmp_path / 'c.json', '--backend', 'transformers', '--model', tmp_path / 'nowhere')
    assert caption_tool(images, *arguments) == 1
