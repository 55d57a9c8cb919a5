import pytest

from cmdg_plugin.captioning.backends.base import CaptionAnswer
from cmdg_plugin.captioning.backends.responses import read_completion, shown_url


def test_urls_are_shown_without_secrets() -> None:
    assert shown_url('https://me:secret@host:81/v1?key=secret') == 'https://host:81/v1'


@pytest.mark.parametrize(
    ('choice', 'answer'),
    [
        ({'message': {'content': 'A man.'}, 'finish_reason': 'stop'}, CaptionAnswer('A man.', True)),
        ({'message': {'content': 'A man in'}, 'finish_reason': 'length'}, CaptionAnswer('A man in', False)),
        ({'message': {'content': None, 'refusal': 'No.'}}, CaptionAnswer('No.', True)),
        ({'message': {'content': None}}, CaptionAnswer('', True)),
    ],
)
def test_completions(choice: dict, answer: CaptionAnswer) -> None:
    assert read_completion({'choices': [choice]}) == answer


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ([], r'not a chat completion \(TypeError\)'),
        ({'choices': []}, r'not a chat completion \(IndexError\)'),
        ({'choices': [{'message': 'A man.'}]}, r'not a chat completion \(TypeError\)'),
        ({'choices': [{'message': {'content': ['A man.']}}]}, 'expected text in the answer, got a list'),
    ],
)
def test_what_is_no_completion(content: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_completion(content)
