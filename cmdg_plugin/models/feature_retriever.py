"""Lets any mm model be scored as a retrieval model."""

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.registry import MODELS


@MODELS.register_module()
class FeatureRetriever(BaseModel):
    """A model of another project, such as mmpretrain's `ImageClassifier`, whose features `ReIDMetric` compares.

    It trains as it would alone; asked to predict, it gives each image's feature instead of a class.

    Args:
        model: Config of a model with `extract_feat`, resolved in the scope of the whole config.
        stage: Passed to `extract_feat`, which mmpretrain's classifiers take: `backbone`, `neck` or `pre_logits`; None
            passes nothing.
        data_preprocessor: The run's data preprocessor, given to the model unless it has its own.
        init_cfg: MMEngine's initialization config.
        flip_test: Whether features are averaged over an image and its mirror image, see `CMDGReID`.
    """

    def __init__(
        self,
        model: dict[str, Any],
        stage: str | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        flip_test: bool = False,
    ) -> None:
        if data_preprocessor is not None:
            model = {'data_preprocessor': data_preprocessor, **model}
        inner = MODELS.build(model)
        super().__init__(inner.data_preprocessor, init_cfg)
        self.model = inner
        self.arguments = {} if stage is None else {'stage': stage}
        self.flip_test = flip_test

    def forward(self, inputs: Tensor, data_samples: list[Any] | None = None, mode: str = 'tensor') -> Any:
        """Run the model.

        Args:
            inputs: What its data preprocessor gives, for B images.
            data_samples: Their data samples.
            mode: `tensor` returns features of length one (B, D), `predict` stores them as `feature` in the data
                samples, `loss` returns the model's own losses.

        Returns:
            Features, data samples, or a dict of losses.

        Raises:
            ValueError: If the model answers with feature maps.
        """
        if mode == 'loss':
            return self.model(inputs, data_samples, mode='loss')
        features = self.extract_feat(inputs)
        if mode == 'tensor':
            return features
        for sample, feature in zip(data_samples or [], features, strict=True):
            sample.set_field(feature, 'feature')
        return data_samples

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Return features of length one, (B, D), averaged with the mirror images' if `flip_test` says so."""
        features = self._extract(inputs)
        if self.flip_test:
            features = (features + self._extract(inputs.flip(-1))) / 2
        return functional.normalize(features, dim=1)

    def _extract(self, inputs: Tensor) -> Tensor:
        features = self.model.extract_feat(inputs, **self.arguments)
        features = features if isinstance(features, torch.Tensor) else features[-1]
        if features.ndim != 2:
            raise ValueError(
                f'Features to be compared are vectors, (B, D), but {type(self.model).__name__} gives '
                f"{tuple(features.shape)}; pool them with a neck such as GlobalAveragePooling and stage='neck'."
            )
        return features.float()
