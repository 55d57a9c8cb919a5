"""HTML pages that hold all they show: whatever is filled in is escaped, and pictures are inside."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from cmdg_plugin.files.images import jpeg_url


def render_page(template: Path, **values: Any) -> str:
    """Fill in a Jinja template; values are escaped, as they may be text from anywhere.

    Args:
        template: The file. It may include others of its folder.
        **values: What it names.

    Returns:
        The page.
    """
    folder = FileSystemLoader(template.parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(template.name).render(**values)


def picture_url(image: Image.Image, size: tuple[int, int]) -> str:
    """Make a small copy of an image that a page can hold.

    Args:
        image: RGB; left as it is.
        size: Width and height that the copy fits into, in pixels.

    Returns:
        The copy as JPEG in a data URL.
    """
    small = image.copy()
    small.thumbnail(size)
    return jpeg_url(small, quality=85)
