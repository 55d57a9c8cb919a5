import base64
import io
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from PIL import Image

from cmdg_plugin.visualization.pages import picture_url, render_page


def test_values_are_escaped_and_none_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / 'inner.txt').write_text('<i>as it stands</i>')
    template = tmp_path / 'page.txt'
    template.write_text('{{ name }} {% include "inner.txt" %}')
    assert render_page(template, name='<b>') == '&lt;b&gt; <i>as it stands</i>'
    with pytest.raises(UndefinedError):
        render_page(template)


def test_picture_is_a_small_copy() -> None:
    image = Image.new('RGB', (100, 400), 'red')
    head, _, content = picture_url(image, (50, 100)).partition(',')
    assert head == 'data:image/jpeg;base64'
    copy = Image.open(io.BytesIO(base64.b64decode(content)))
    assert (copy.format, copy.size) == ('JPEG', (25, 100))
    assert image.size == (100, 400)
