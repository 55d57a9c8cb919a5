"""A model as a gallery uses it: its hash, and vectors of images and sentences."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.apis import ImagePreparation, encode_text, extract_features, init_model
from cmdg_plugin.apis.model_hash import hash_model
from cmdg_plugin.files.images import read_image, to_rgb
from cmdg_plugin.gallery.manifest import Manifest

QueryImage: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray
"""A file, a PIL image, or an RGB array (H, W, 3) of bytes."""


class GalleryModel:
    """A trained model that encodes images and sentences.

    Args:
        checkpoint: Its file.
        device: Where to compute; None takes a GPU if there is one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of a model that compares images with sentences.

    Attributes:
        checkpoint: Absolute path of the file.
        prepare: What makes of an image what the model takes.
        hash: SHA-256 of what features depend on: weights of both towers and how images are prepared.
        dimension: Length W + D of retrieval features.
        shared: D, the length of their shared part.
    """

    def __init__(self, checkpoint: str | os.PathLike[str], device: str | torch.device | None = None) -> None:
        self.checkpoint = os.path.abspath(Path(os.path.expanduser(checkpoint)))
        self._model = init_model(None, self.checkpoint, device)
        if not hasattr(self._model, 'encode_sentences') or not hasattr(self._model, 'backbone'):
            raise ValueError(
                f'{checkpoint} holds a {type(self._model).__name__}; a gallery needs a model that compares images with '
                'sentences (CMDGReID).'
            )
        self.prepare = ImagePreparation(self._model._config)
        self.hash = hash_model(self._model)
        self.shared = int(self._model.backbone.embed_dim)
        self.dimension = int(self.encode_queries([Image.new('RGB', (64, 128))]).shape[-1])

    @torch.no_grad()
    def encode_prepared(self, batch: Tensor) -> np.ndarray:
        """Encode images that `prepare` has prepared; returns retrieval features (N, W + D) of length one.

        Raises:
            ValueError: If they are not numbers.
        """
        features = self._model.extract_features(self._model.data_preprocessor({'inputs': batch})['inputs'])
        if not features.isfinite().all():
            raise ValueError(f'The model of {self.checkpoint} gives features that are not numbers; take another one.')
        return features.cpu().numpy()

    def encode_queries(self, images: Sequence[QueryImage]) -> np.ndarray:
        """Encode pictures of one person as one query.

        Args:
            images: The pictures.

        Returns:
            The mean of their features, of length one (W + D,).

        Raises:
            ValueError: If one cannot be read, is no picture, or there is none.
        """
        if not images:
            raise ValueError('A query by image needs at least one image.')
        opened = [open_query_image(image) for image in images]
        mean = extract_features(self._model, opened, progress=False).mean(dim=0)
        return functional.normalize(mean.float(), dim=0).cpu().numpy()

    def encode_sentence(self, sentence: str) -> np.ndarray:
        """Encode a sentence; returns its feature (D,) of length one.

        Raises:
            ValueError: If it is empty.
        """
        if not isinstance(sentence, str) or not sentence.strip():
            raise ValueError('A query by text needs a sentence, such as "a woman in a red coat"; this one is empty.')
        return encode_text(self._model, sentence)[0].numpy()


def load_model(folder: Path, manifest: Manifest, given: str | None, device: str | torch.device | None) -> GalleryModel:
    """Load the model of a gallery.

    Args:
        folder: The gallery.
        manifest: What it says of itself.
        given: Where the checkpoint is; None takes the place that the gallery knows.
        device: Where to compute; None takes a GPU if there is one.

    Raises:
        FileNotFoundError: If it is no longer there.
        ValueError: If it is another model.
    """
    path = manifest.model if given is None else given
    if given is None and not Path(path).is_file():
        raise FileNotFoundError(
            f'The model of the gallery {folder} is no longer at {path}; give its checkpoint (model=, --model).'
        )
    loaded = GalleryModel(path, device)
    if loaded.hash != manifest.hash:
        raise ValueError(
            f'The gallery {folder} was encoded by the model {manifest.hash[:8]} ({manifest.model}), but {path} is the '
            f'model {loaded.hash[:8]}: their vectors cannot be compared. Give that model, or encode the gallery anew '
            f'with this one: reencode {folder} --model {path}.'
        )
    return loaded


def list_pictures(image: QueryImage | Sequence[QueryImage]) -> list[Any]:
    """What a caller gives as one picture or several, as a list."""
    return list(image) if isinstance(image, list | tuple) else [image]


def open_query_image(image: QueryImage) -> Image.Image:
    """Open what a caller gives as a picture.

    Raises:
        ValueError: If it is none, or cannot be read.
    """
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f'A picture as an array is RGB, (H, W, 3), uint8; got {image.dtype} of shape {image.shape}.'
            )
        return Image.fromarray(image)
    if isinstance(image, str | os.PathLike):
        if not Path(os.path.expanduser(image)).exists():
            raise FileNotFoundError(f'There is no image at {image}.')
        return read_image(Path(os.path.expanduser(image)))
    raise ValueError(f'A picture is a file, a PIL image or an RGB array, not a {type(image).__name__}.')
