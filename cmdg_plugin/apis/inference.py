"""A trained model in Python: features of images, features of sentences."""

import copy
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from cmdg_plugin.apis.preparation import ImageLike, ImagePreparation, as_image_list
from cmdg_plugin.checkpoints.reading import read_checkpoint
from cmdg_plugin.checkpoints.stored_config import read_checkpoint_config
from cmdg_plugin.datasets.caption_fields import is_writable
from cmdg_plugin.progress import track
from cmdg_plugin.saying import warn

_SPACES = ('retrieval', 'shared')
_CHECKPOINT_SUFFIXES = ('.pth', '.pt', '.ckpt', '.bin', '.safetensors')


def init_model(
    config: str | os.PathLike[str] | Config | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    *,
    trust: bool = False,
) -> Any:
    """Build a model and load its weights, ready to extract features.

    Neither training data nor captions are needed; what belongs to the training identities is left aside. A checkpoint
    may come from anybody: nothing from it runs (`cmdg_plugin.checkpoints.stored_config`). A config is a program.

    Args:
        config: Config file or config; None takes the config that the checkpoint carries.
        checkpoint: Checkpoint file; None leaves the weights as the config initializes them.
        device: Where to compute; None takes a GPU if there is one.
        trust: Whether the author of the checkpoint may run code here, as modules that its config imports do.

    Returns:
        The model in evaluation mode. Its config is at `_config`, where mmpretrain's inferencers look for it too.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If neither is given, if a checkpoint is given as config, is damaged or carries no config where it
            must, or if that config names what is not registered; if there is no such device.

    Example:
        >>> model = init_model('configs/cmdg/cmdg_toy-vit_islands.py', device='cpu')
        >>> model.backbone.embed_dim
        96
    """
    if checkpoint is None and isinstance(config, (str, os.PathLike)) and str(config).endswith(_CHECKPOINT_SUFFIXES):
        raise ValueError(
            f'{config} is a checkpoint, not a config: init_model(None, {str(config)!r}) takes the config it carries.'
        )
    for what, path in (('config', config), ('checkpoint', checkpoint)):
        if isinstance(path, (str, os.PathLike)) and not os.path.isfile(path):
            raise FileNotFoundError(f'There is no {what} at {path}.')
    place = _check_device(device or get_device())
    settings = _find_config(config, checkpoint, trust)
    if checkpoint is not None:
        settings = _without_first_weights(settings, checkpoint)
    with DefaultScope.overwrite_default_scope(settings.get('default_scope') or 'cmdg_plugin'):
        model = MODELS.build(settings.model)
    if checkpoint is not None:
        load_checkpoint(model, str(checkpoint), map_location='cpu')
    model._config = settings
    return model.to(place).eval()


@torch.no_grad()
def extract_features(
    model: Any,
    images: ImageLike | Iterable[ImageLike],
    *,
    batch_size: int = 64,
    num_workers: int = 0,
    space: str = 'retrieval',
    progress: bool = True,
) -> Tensor:
    """Extract the features of images, prepared as the model's config prepares test images.

    With `flip_test` in the model's config, or `model.flip_test = True`, each is averaged with its mirror image's.

    Args:
        model: From `init_model`.
        images: An image, several (also an array of paths), or a folder (rows in the order of `list_images`). An image
            is a file, a PIL image, or an array (H, W, 3) in BGR order or (H, W), uint8 or uint16. More than 8 bits
            are brought to 8 by value.
        batch_size: Images encoded at a time.
        num_workers: Processes that read images beside this one.
        space: `retrieval` compares images with images (global features in both widths, W + D numbers); `shared`
            compares them with sentences of `encode_text` (D numbers).
        progress: Whether to show a progress bar.

    Returns:
        Features of length one, (N, W + D) or (N, D), on the CPU.

    Raises:
        FileNotFoundError: If a file is missing, or a folder has no image.
        TypeError: If an image is not of the three kinds.
        ValueError: If there is no image, one cannot be read, or the space is unknown.

    Example:
        >>> features = extract_features(model, ['person_1.jpg', 'person_2.jpg'], progress=False)
        >>> features.shape
        torch.Size([2, 224])
        >>> similarity = features @ features.T
    """
    if space not in _SPACES:
        raise ValueError(f'space must be one of {", ".join(_SPACES)}, got {space!r}.')
    prepare = ImagePreparation(model._config)
    # torch's annotation asks for a dataset; a list is all that it takes.
    listed: Any = as_image_list(images)
    loader: DataLoader = DataLoader(listed, batch_size=batch_size, num_workers=num_workers, collate_fn=prepare.batch)
    batches = track(loader, 'Extracting features') if progress else loader
    encode = model.extract_features if space == 'retrieval' else model.extract_shared_features
    return torch.cat([encode(model.data_preprocessor({'inputs': batch})['inputs']).cpu() for batch in batches])


@torch.no_grad()
def encode_text(model: Any, sentences: str | Iterable[str], *, batch_size: int = 256) -> Tensor:
    """Encode sentences into the space that they share with images.

    Args:
        model: From `init_model`.
        sentences: One sentence, or several (also as an array); what exceeds the text tower's context is cut, with
            a warning.
        batch_size: Sentences encoded at a time.

    Returns:
        Features of length one, (N, D), on the CPU. Compare with `extract_features(..., space='shared')`.

    Raises:
        TypeError: If one is not a string.
        ValueError: If there is none, one is empty or holds half a character, or `batch_size` is below 1.

    Example:
        >>> texts = encode_text(model, ['A woman in a red coat.', 'A man with a backpack.'])
        >>> (extract_features(model, 'person_1.jpg', space='shared', progress=False) @ texts.T).shape
        torch.Size([1, 2])
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}.')
    listed = _list_sentences(sentences)
    features, num_cut = [], 0
    for start in range(0, len(listed), batch_size):
        batch, cut = model.encode_sentences(listed[start : start + batch_size])
        features.append(functional.normalize(batch.float(), dim=1).cpu())
        num_cut += cut
    if num_cut:
        warn(f'{num_cut} of {len(listed)} sentences were longer than the text tower reads and were cut at their end.')
    return torch.cat(features)


def _list_sentences(sentences: str | Iterable[str]) -> list[str]:
    if isinstance(sentences, (str, np.ndarray)):
        sentences = [str(sentences)] if isinstance(sentences, str) else sentences.ravel().tolist()
    if not isinstance(sentences, Iterable):
        raise TypeError(f'encode_text takes sentences, one or several, not a {type(sentences).__name__}.')
    listed = list(sentences)
    if not listed:
        raise ValueError('There are no sentences to encode.')
    for position, sentence in enumerate(listed):
        if not isinstance(sentence, str):
            raise TypeError(
                f'encode_text takes sentences, but number {position} (from 0) is {sentence!r}, a '
                f'{type(sentence).__name__}.'
            )
        if not sentence.strip() or not is_writable(sentence):
            what = 'holds half a character (a lone surrogate)' if sentence.strip() else 'is empty'
            raise ValueError(f'Sentence number {position} (from 0) {what}.')
    return listed


def _check_device(device: str | torch.device) -> torch.device:
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition('\n')[0].rstrip('.')
        raise ValueError(f'Nothing can be computed on the device {device} here: {reason}.') from error
    return place


def _find_config(
    config: str | os.PathLike[str] | Config | None, checkpoint: str | os.PathLike[str] | None, trust: bool
) -> Config:
    if config is not None:
        return config if isinstance(config, Config) else Config.fromfile(config)
    if checkpoint is None:
        raise ValueError('init_model needs a config, or a checkpoint that carries one.')
    return read_checkpoint_config(checkpoint, trust)


def _without_first_weights(settings: Config, checkpoint: str | os.PathLike[str]) -> Config:
    """Leave out the weights that training began with: the checkpoint has others, and says which activation it runs."""
    quick_gelu = read_checkpoint(checkpoint).get('meta', {}).get('quick_gelu')
    backbone = settings.model.get('backbone') or {}
    if not isinstance(quick_gelu, bool) or not backbone.get('pretrained'):
        return settings
    settings = copy.deepcopy(settings)
    settings.model.backbone.update(pretrained=None, quick_gelu=quick_gelu)
    return settings
