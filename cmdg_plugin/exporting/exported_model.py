"""An exported file in the place of a config's model, to be scored by the config's metric."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from cmdg_plugin.exporting.encoders import INPUTS
from cmdg_plugin.exporting.running import READERS, open_exported
from cmdg_plugin.exporting.sizing import set_pipeline_size
from cmdg_plugin.registry import MODELS


@MODELS.register_module()
class ExportedModel(BaseModel):
    """Runs an exported file.

    Args:
        file: The file.
        data_preprocessor: Config of what gives images as the file expects them.
        trust: As `open_exported` takes it.
    """

    def __init__(self, file: str, data_preprocessor: dict[str, Any], trust: bool = False) -> None:
        super().__init__(data_preprocessor)
        self.exported = open_exported(Path(file), trust=trust)

    def forward(self, inputs: Tensor, data_samples: list[Any] | None = None, mode: str = 'tensor') -> Any:
        """Encode images (B, 3, H, W).

        Args:
            inputs: As the file expects them.
            data_samples: Their data samples.
            mode: `tensor` returns features (B, D), `predict` stores them as `feature` in the data samples.

        Raises:
            ValueError: If the mode is another one: an exported file is not trained.
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"An exported model takes mode 'tensor' or 'predict', not {mode!r}.")
        features = torch.from_numpy(self.exported.run(inputs.cpu().numpy()))
        if mode == 'tensor':
            return features
        for sample, feature in zip(data_samples or [], features, strict=True):
            sample.set_field(feature, 'feature')
        return data_samples


def is_exported(path: str | Path) -> bool:
    """Whether a file's name is that of an exported model."""
    return Path(path).suffix in READERS


def use_exported(config: Config, path: Path, trust: bool = False) -> None:
    """Put an exported file in the place of a config's model; images are resized to what it takes.

    Args:
        config: A config with `test_dataloader`; changed.
        path: The file.
        trust: As `open_exported` takes it.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the package that runs it is missing.
        ValueError: If it is not an exported image model.
    """
    exported = open_exported(path, trust=trust)
    if 'expected_input' not in exported.metadata:
        raise ValueError(f'{path} encodes sentences: give the file that encodes images.')
    expects = exported.metadata['expected_input']
    if expects not in INPUTS:
        raise ValueError(f'{path} expects pixels {expects!r}, not one of {", ".join(INPUTS)}: write it anew.')
    if len(exported.shape) != 3:
        raise ValueError(f'{path} is damaged: it takes rows of shape {exported.shape}, not images.')
    set_pipeline_size(config, exported.image_size)
    mean, std = INPUTS[expects]
    to_rgb = (config.model.get('data_preprocessor') or {}).get('to_rgb', True)
    preprocessor = dict(
        type='cmdg_plugin.ReIDDataPreprocessor', normalization='fixed', mean=mean, std=std, to_rgb=to_rgb
    )
    config.load_from = None  # it holds its weights
    config.model = dict(type='cmdg_plugin.ExportedModel', file=str(path), data_preprocessor=preprocessor, trust=trust)
