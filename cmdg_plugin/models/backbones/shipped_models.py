"""CLIP models whose configuration, weights and vocabulary ship with this package."""

from dataclasses import dataclass, field
from pathlib import Path

import open_clip

from cmdg_plugin.files.hashing import hash_file

_ASSETS = Path(__file__).parent / 'assets'


@dataclass(frozen=True)
class ShippedModel:
    """Where the files of a shipped CLIP model are.

    Attributes:
        config: JSON file in open_clip's format; its stem is the model's name.
        weights: Weight file of each `pretrained` tag.
        vocabulary: Byte-pair merges of its tokenizer (gzip), or None for open_clip's own.
    """

    config: Path
    weights: dict[str, Path] = field(default_factory=dict)
    vocabulary: Path | None = None


SHIPPED_MODELS: dict[str, ShippedModel] = {
    'cmdg-toy-vit': ShippedModel(
        config=_ASSETS / 'cmdg-toy-vit.json',
        weights={'islands': _ASSETS / 'cmdg-toy-vit.safetensors'},
        vocabulary=_ASSETS / 'cmdg-toy-bpe.txt.gz',
    ),
}
"""Shipped models by name. Add to it to make a model of your own known to `TextAwareCLIP`."""


def register_shipped_model(model_name: str) -> None:
    """Make a shipped model known to open_clip; other names are left to open_clip.

    Raises:
        FileNotFoundError: If the shipped configuration is not in the installed package.
    """
    model = SHIPPED_MODELS.get(model_name)
    if model is None or model_name in open_clip.list_models():
        return
    if not model.config.is_file():
        raise FileNotFoundError(_missing(model_name, model.config))
    open_clip.add_model_config(model.config)


def shipped_weights(model_name: str, tag: str) -> Path | None:
    """Find the weights of a shipped model.

    Returns:
        The weight file, or None where the package ships none under these names.

    Raises:
        FileNotFoundError: If the file should be in the installed package, but is not.
    """
    model = SHIPPED_MODELS.get(model_name)
    path = None if model is None else model.weights.get(tag)
    if path is not None and not path.is_file():
        raise FileNotFoundError(_missing(model_name, path))
    return path


def tokenizer_arguments(model_name: str) -> dict[str, str]:
    """Arguments that `open_clip.get_tokenizer` needs for a model beside its name.

    Returns:
        The path of the vocabulary for a shipped model that has its own, else nothing.
    """
    model = SHIPPED_MODELS.get(model_name)
    return {} if model is None or model.vocabulary is None else {'bpe_path': str(model.vocabulary)}


def check_vocabulary(model_name: str, digest: str, weights: Path) -> None:
    """Refuse weights that read text by another vocabulary than their model, whose sizes may well be the same.

    Args:
        model_name: The model.
        digest: SHA-256 of the vocabulary that the weights were trained with.
        weights: Their file, for the message.

    Raises:
        ValueError: If the model has another one.
    """
    model = SHIPPED_MODELS.get(model_name)
    own = None if model is None else model.vocabulary
    if own is None or hash_file(own) != digest:
        raise ValueError(
            f'{weights} was trained with another vocabulary (SHA-256 {digest[:12]}...) than {model_name!r}, which '
            'would misread every text: pretrain without --new-vocabulary, or make the weights with their vocabulary a '
            'model of their own in cmdg_plugin.models.backbones.SHIPPED_MODELS.'
        )


def _missing(model_name: str, path: Path) -> str:
    return (
        f'{model_name!r} ships with cmdg_plugin, but {path} is missing: the installation is incomplete, reinstall it.'
    )
