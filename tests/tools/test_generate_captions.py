"""The captioning tool, as a user calls it; its runs: tests/captioning/test_generation.py."""

from pathlib import Path

import generate_captions
import pytest
from PIL import Image

from cmdg_plugin.datasets import load_captions


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (28, 56), 'red').save(tmp_path / 'images' / 'a.png')
    return tmp_path / 'images'


def run(*arguments: object) -> int:
    return generate_captions.main([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    'arguments',
    [
        ('--endpoint', 'http://127.0.0.1:1'),
        ('--model', 'm'),
        ('--endpoint', 'http://127.0.0.1:1', '--model', 'm', '--batch-size', '3'),
        ('--endpoint', 'http://127.0.0.1:1', '--model', 'm', '--view', 'odd'),
        ('--endpoint', 'http://127.0.0.1:1', '--model', 'm', '--shard', '3/2'),
        ('--endpoint', 'http://127.0.0.1:1', '--model', 'm', '--prompts', 'none.yaml'),
        ('--backend', 'unheard-of', '--model', 'm'),
    ],
)
def test_wrong_arguments_end_with_a_message(
    images: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(images, '--out', tmp_path / 'c.json', *arguments) == 2
    words = capfd.readouterr()
    assert 'Traceback' not in words.err
    assert 'the same command continues' not in words.out + words.err


def test_missing_images_and_journals_end_with_a_message(
    images: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(tmp_path / 'nowhere', '--out', tmp_path / 'c.json', '--endpoint', 'u', '--model', 'm') == 2
    assert run(images, '--out', tmp_path / 'c.json', '--merge') == 1
    assert 'Traceback' not in capfd.readouterr().err


def test_a_backend_of_the_users_own_module(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'my_captioner.py').write_text(
        'from cmdg_plugin.captioning import CAPTION_BACKENDS, CaptionAnswer, CaptionBackend\n'
        "@CAPTION_BACKENDS.register_module(name='my-own')\n"
        'class Mine(CaptionBackend):\n'
        "    def __init__(self, model, color='no'): self.color = color\n"
        '    max_in_flight = 1\n'
        "    async def answer(self, request): return CaptionAnswer(f'A man in a {self.color} coat with a bag.')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / 'c.json'
    arguments = ('--imports', 'my_captioner', '--backend', 'my-own', '--model', 'm', '--backend-options', 'color=green')
    assert run(images, '--out', out, *arguments) == 0
    assert load_captions(out)[0].captions == ('A man in a green coat with a bag.',) * 4
