"""The search page: a form and ranked results, built with Gradio."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from cmdg_plugin.gallery.answers import RESPONSIBLE_USE, Answer, describe_answer
from cmdg_plugin.gallery.columns import TYPE_NAMES
from cmdg_plugin.gallery.form import MOST_RESULTS, Form, read_uploads
from cmdg_plugin.gallery.gallery import Gallery
from cmdg_plugin.saying import printable, warn
from cmdg_plugin.visualization.pages import picture_url, render_page

_TEMPLATE = Path(__file__).with_name('answer.html')
STYLE = Path(__file__).with_name('answer.css').read_text(encoding='utf-8')
_ON_CLICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-rank]');
  if (button) trigger('click', {rank: Number(button.dataset.rank)});
});
"""
# Uploaded pictures are deleted after an hour; looked after every minute.
_KEPT = (60, 3600)
_MOST_WAITING = 100


class SearchPage:
    """What the page's buttons do. Paths of matches stay on the server: a visitor names them by rank.

    Args:
        gallery: What is searched.
    """

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery

    def search(self, files: Sequence[str] | None, chosen: str | None, *fields: Any) -> tuple[str, tuple[str, ...]]:
        """Answer the form.

        Args:
            files: Uploaded pictures.
            chosen: The entry that the user goes on with, where nothing is uploaded.
            *fields: Fields of `Form`, in their order.

        Returns:
            The answer as HTML, and the paths of its matches.
        """
        try:
            form = _form(fields)
            pictures = read_uploads(files or ())
            if not pictures and chosen is not None:
                pictures = [self._read(chosen)]
            if not pictures and form.text is None:
                raise ValueError('Say what to search for: upload a picture, describe the person, or both.')
            where = form.condition(self.gallery)
            result = self.gallery.search(
                image=pictures or None, text=form.text, where=where, top=form.count(), text_weight=form.weight
            )
        except (ValueError, OSError) as error:
            return _render(problem=self._for_visitors(error)), ()
        answer = describe_answer(
            result,
            self.gallery,
            pictures=pictures,
            text=form.text,
            where=where,
            text_weight=form.weight,
            full_paths=False,
        )
        return _render(answer), tuple(match.path for match in result.matches)

    def choose(self, paths: Sequence[str], rank: object) -> tuple[str | None, str]:
        """Take a match as the next query.

        Args:
            paths: Matches that are shown.
            rank: Place of the match among them, from 1.

        Returns:
            Its path, None if there is no such match; and what the form shows of it, as HTML.
        """
        if type(rank) is not int or not 1 <= rank <= len(paths):
            return None, ''
        try:
            picture = self.gallery.read_image(paths[rank - 1])
        except (ValueError, OSError):  # said by the search that follows
            return paths[rank - 1], ''
        return paths[rank - 1], _show_chosen(picture, Path(paths[rank - 1]).name)

    def _read(self, path: str) -> Image.Image:
        try:
            return self.gallery.read_image(path)
        except ValueError as error:
            raise ValueError(f'The image {Path(path).name} can no longer be read.') from error

    def _for_visitors(self, error: Exception) -> str:
        """What a visitor is told, who need not know where files lie; the log holds what is wrong with the gallery."""
        text = str(error)
        if isinstance(error, OSError) or str(self.gallery.folder) in text:
            warn(f'A search failed: {text}')
            return 'The gallery cannot be searched now. The log of the program that serves this page says why.'
        return text


def build_page(gallery: Gallery) -> gr.Blocks:
    """Build the page of a gallery.

    Args:
        gallery: What is searched.

    Returns:
        The page, which `cmdg_plugin.gallery.serving` serves.
    """
    actions = SearchPage(gallery)
    name = html.escape(printable(gallery.folder.resolve().name))
    with gr.Blocks(title='Find a person', analytics_enabled=False, delete_cache=_KEPT, fill_width=True) as page:
        gr.HTML(f'<h1>Find a person in {name}</h1><p class="note">{gallery.info().entries:,} images</p>')
        chosen, paths = gr.State(None), gr.State(())
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                files = gr.File(label='Pictures of one person', file_count='multiple', height=120, elem_id='pictures')
                going_on = gr.HTML()
                sentence, weight = _build_description()
                with gr.Row():
                    clear = gr.Button('Start over', min_width=100)
                    search = gr.Button('Search', variant='primary', min_width=100)
                fields = [sentence, weight, *_build_filters(gallery)]
            with gr.Column(scale=3, min_width=400):
                answer = gr.HTML(js_on_load=_ON_CLICK, elem_id='answer')
        gr.HTML(f'<p class="note">{html.escape(RESPONSIBLE_USE)}</p>')

        def go_on(shown: tuple[str, ...], event: gr.EventData) -> tuple[Any, ...]:
            path, preview = actions.choose(shown, (event._data or {}).get('rank'))
            return path, preview, None, ''

        one_at_a_time: dict[str, Any] = {'concurrency_id': 'search', 'concurrency_limit': 1}
        hidden: dict[str, Any] = {'api_visibility': 'private'}
        asked = {'fn': actions.search, 'inputs': [files, chosen, *fields], 'outputs': [answer, paths]}
        gr.on([search.click, sentence.submit], **asked, **one_at_a_time, **hidden)
        answer.click(go_on, paths, [chosen, going_on, files, sentence], **hidden).success(
            **asked, **one_at_a_time, **hidden
        )
        files.upload(lambda: (None, ''), None, [chosen, going_on], **hidden)
        defaults = [field.value for field in fields]
        clear.click(
            lambda: (None, '', None, '', (), *defaults),
            None,
            [chosen, going_on, files, answer, paths, *fields],
            **hidden,
        )
    # Programs wait in the queue, too: searches side by side would take the memory of all.
    return page.queue(max_size=_MOST_WAITING, api_open=False)


def make_theme() -> gr.themes.Base:
    """Colors of the page; its fonts are Gradio's own and the system's."""
    return gr.themes.Default(primary_hue='indigo', secondary_hue='indigo', neutral_hue='slate')


def _build_description() -> tuple[Any, Any]:
    """The first fields of `Form`, in its order."""
    sentence = gr.Textbox(
        '',
        label='Description',
        placeholder='a woman in a red coat with a backpack',
        max_length=1000,
        lines=2,
        max_lines=2,
    )
    return sentence, gr.Slider(0, 1, Form.weight, step=0.05, label='Its weight beside pictures')


def _build_filters(gallery: Gallery) -> list[Any]:
    """The other fields of `Form`, in its order."""
    columns = ', '.join(f'{column} ({TYPE_NAMES[kind]})' for column, kind in gallery.columns.items())
    with gr.Accordion('Filter', open=True):
        cameras = gr.Textbox('', label='Cameras', placeholder='3, 7', max_length=1000)
        start = gr.Textbox('', label='Earliest time', placeholder='2026-05-01T08:00', max_length=40)
        end = gr.Textbox('', label='Latest time', placeholder='2026-05-01', max_length=40)
        where = gr.Textbox(
            '',
            label='Condition on any column',
            info=f'Columns: {columns}',
            placeholder='identity in ("3", "7")',
            max_length=10_000,
        )
        top = gr.Slider(1, MOST_RESULTS, Form.top, step=1, label='Results')
    return [cameras, start, end, where, top]


def _form(fields: Sequence[Any]) -> Form:
    sentence, weight, cameras, start, end, where, top = fields
    sentence, cameras, start, end, where = (str(text or '') for text in (sentence, cameras, start, end, where))
    return Form(sentence, float(weight), cameras, start, end, where, top)


def _render(answer: Answer | None = None, problem: str | None = None) -> str:
    return render_page(_TEMPLATE, answer=answer, problem=problem, clickable=True)


def _show_chosen(picture: Image.Image, name: str) -> str:
    source = picture_url(picture, (100, 200))
    return (
        f'<div class="asked"><img src="{source}" alt="chosen picture"><p>Going on with<br>{html.escape(name)}</p></div>'
    )
