"""The questions that a captioning model is asked, read from one file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cmdg_plugin.captioning.cleaning import PROBLEMS
from cmdg_plugin.captioning.settings import VIEWS, CaptionSettings, stable_number
from cmdg_plugin.regions import CAPTION_FILE_ORDER

DEFAULT_PROMPTS = Path(__file__).with_name('prompts.yaml')
"""The prompts that ship with the plugin."""


@dataclass(frozen=True)
class PromptBook:
    """Questions for each view and region, and what to add when an answer could not be used.

    Attributes:
        version: The file's own version and a fingerprint of its content, such as `1-3f2a9c01`.
        system: What the model is told before any question.
        questions: Wordings by view and region.
        corrections: What to add to a question, by the problem of the last answer.
    """

    version: str
    system: str
    questions: dict[str, dict[str, tuple[str, ...]]]
    corrections: dict[str, str]

    def ask(self, settings: CaptionSettings, file_path: str, region: str, problem: str | None = None) -> str:
        """The question about one region of one image; the same in every run with the same settings.

        Args:
            settings: View, wording and seed.
            file_path: The image, which draws the wording where it varies.
            region: What to describe.
            problem: What was wrong with the last answer, if there was one.
        """
        wordings = self.questions[settings.view][region]
        varied = settings.wording == 'varied'
        number = stable_number(f'{settings.seed}|{file_path}|{region}|wording') % len(wordings) if varied else 0
        question = wordings[number]
        return question if problem is None else f'{question} {self.corrections[problem]}'


def load_prompts(path: Path = DEFAULT_PROMPTS) -> PromptBook:
    """Read a prompts file.

    Args:
        path: A YAML file laid out like `DEFAULT_PROMPTS`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not YAML or something is missing; names what.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no prompts file at {path}; start from a copy of {DEFAULT_PROMPTS}.')
    content = path.read_bytes()
    try:
        book = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f'{path} is not a YAML file: {error}.') from error
    version = _entry(book, path, 'version')
    corrections = {problem: _correction(book, path, problem) for problem in PROBLEMS}
    return PromptBook(
        version=f'{version}-{hashlib.sha256(content).hexdigest()[:8]}',
        system=_sentence(book, path, 'system'),
        questions={view: _questions(book, path, view) for view in VIEWS},
        corrections=corrections,
    )


def _correction(book: Any, path: Path, problem: str) -> str:
    # Prompts files that are older than this problem have no words of their own for it.
    corrections = _entry(book, path, 'corrections')
    if problem == 'suspicious' and isinstance(corrections, dict) and problem not in corrections:
        problem = 'markup'
    return _sentence(book, path, 'corrections', problem)


def _questions(book: Any, path: Path, view: str) -> dict[str, tuple[str, ...]]:
    questions = {}
    for region in CAPTION_FILE_ORDER:
        # The global sentence is about the whole image in every view.
        keys = ('views', 'whole' if region == 'global' else view, region)
        wordings = _entry(book, path, *keys)
        if not isinstance(wordings, list) or not wordings or not all(isinstance(text, str) for text in wordings):
            raise ValueError(f'{path}, {".".join(keys)}: expected a list of one or more wordings, got {wordings!r}.')
        questions[region] = tuple(' '.join(text.split()) for text in wordings)
    return questions


def _sentence(book: Any, path: Path, *keys: str) -> str:
    value = _entry(book, path, *keys)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'{path}, {".".join(keys)}: expected a sentence, got {value!r}.')
    return ' '.join(value.split())


def _entry(book: Any, path: Path, *keys: str) -> Any:
    for depth, key in enumerate(keys, start=1):
        if not isinstance(book, dict) or key not in book:
            raise ValueError(f'{path} has no entry {".".join(keys[:depth])}; see {DEFAULT_PROMPTS} for the layout.')
        book = book[key]
    return book
