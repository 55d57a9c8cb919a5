"""A model that is trained in stages, each with its own loss terms and trainable parts."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from cmdg_plugin.models.losses import LossTerms
from cmdg_plugin.models.nonfinite import NonFiniteGuard
from cmdg_plugin.registry import MODELS

_Method = TypeVar('_Method', bound=Callable[..., dict[str, Any]])


def gives(*names: str) -> Callable[[_Method], _Method]:
    """Mark a `<stage>_fields` method with the fields that it can return.

    Terms that read others are then refused before anything is trained; those of a method without the mark, at their
    first batch.

    Args:
        *names: Names of the fields.
    """

    def mark(method: _Method) -> _Method:
        method.gives = names  # type: ignore[attr-defined]
        return method

    return mark


class StagedModel(BaseModel):
    """Base of models that are trained in stages, one `<stage>_fields` method each.

    A stage's method computes named tensors once; the stage's loss terms, a list in the config, pick what they need.

    Args:
        losses: For each stage, its loss terms (see `LossTerms`).
        data_preprocessor: Config of the data preprocessor.
        on_nonfinite: `raise` stops at a loss or gradient that is NaN or infinite, `skip` leaves the batch out and
            counts it.
        init_cfg: MMEngine's initialization config.

    Raises:
        ValueError: If `losses` names a stage without a `<stage>_fields` method.
    """

    def __init__(
        self,
        losses: dict[str, list[dict[str, Any]]] | None,
        data_preprocessor: dict[str, Any],
        on_nonfinite: str,
        init_cfg: dict[str, Any] | None,
    ) -> None:
        super().__init__(build_part(data_preprocessor), init_cfg)
        losses = losses or {}
        unknown = [name for name in losses if not hasattr(self, f'{name}_fields')]
        if unknown:
            raise ValueError(
                f'model.losses names stages {unknown}, but {type(self).__name__} has no method '
                f'{unknown[0]}_fields; it runs {self.known_stages()}.'
            )
        self.losses = nn.ModuleDict(
            {name: build_part({'type': 'LossTerms', 'terms': terms}) for name, terms in losses.items()}
        )
        self.guard = NonFiniteGuard(on_nonfinite)
        self.stage: str | None = None
        self.stage_epoch = 0
        self._never_trained: set[str] = set()

    @classmethod
    def known_stages(cls) -> list[str]:
        """Return the names of the stages that this class has a `<stage>_fields` method for."""
        return [name.removesuffix('_fields') for name in dir(cls) if name.endswith('_fields')]

    @property
    def stage_names(self) -> list[str]:
        """Stages that this model has loss terms for."""
        return list(self.losses)

    @property
    def fields_read(self) -> frozenset[str]:
        """Names of the fields that the current stage's loss terms read."""
        if self.stage is None or self.stage not in self.losses:
            return frozenset()
        return cast(LossTerms, self.losses[self.stage]).reads

    def check_trainable(self, stage: str, beginnings: Sequence[str]) -> None:
        """Raise a ValueError if a stage trains what does not exist or never trains, or leaves its own terms' out."""
        names = [name for name, _ in self.named_parameters() if name not in self._never_trained]
        for beginning in beginnings:
            if not any(begins(name, beginning) for name in names):
                parts = sorted({'.'.join(name.split('.')[:2]) for name in names})
                raise ValueError(
                    f"Stage '{stage}' trains '{beginning}', but no trainable parameter's name begins so. "
                    f'There are: {", ".join(parts)}.'
                )
        own = [name for name in names if name.startswith(f'losses.{stage}.')]
        left_out = [name for name in own if not any(begins(name, beginning) for beginning in beginnings)]
        if left_out:
            raise ValueError(
                f"Stage '{stage}' has loss terms with parameters that it does not train, such as {left_out[0]}: add "
                f"'losses.{stage}' to the stage's `trainable`."
            )

    def start_stage(self, stage: str, trainable: Sequence[str]) -> None:
        """Set what is trainable.

        Args:
            stage: The stage whose losses are computed from now on.
            trainable: Beginnings of the names of the parameters that train; all others are frozen.
        """
        self.check_trainable(stage, trainable)
        self.check_stage(stage)
        self.stage, self.stage_epoch = stage, 0
        for name, parameter in self.named_parameters():
            parameter.grad = None
            chosen = any(begins(name, beginning) for beginning in trainable)
            parameter.requires_grad_(chosen and name not in self._never_trained)

    def fields_given(self, stage: str) -> tuple[str, ...] | None:
        """Names of the fields that a stage can give its loss terms; None if its method does not say (see `gives`)."""
        return getattr(getattr(self, f'{stage}_fields'), 'gives', None)

    def check_stage(self, stage: str) -> None:
        """Raise a ValueError if a loss term of a stage would find less than it needs."""
        given = self.fields_given(stage)
        if given is not None and stage in self.losses:
            cast(LossTerms, self.losses[stage]).check_fields(given)

    def terms_beginning_behind(self, stage: str, epochs: int) -> list[str]:
        """Names of the terms of a stage whose `start_epoch` a stage of so many epochs never reaches."""
        terms = cast(LossTerms, self.losses[stage])
        return [term.name for term in terms.terms if getattr(terms.losses[term.key], 'start_epoch', 0) >= epochs]

    @abstractmethod
    def extract_features(self, inputs: Tensor | None) -> Tensor:
        """Return the retrieval features (B, F) of normalized images (B, 3, H, W)."""

    def forward(
        self,
        inputs: Tensor | None = None,
        data_samples: list[Any] | None = None,
        mode: str = 'tensor',
        image_index: Tensor | None = None,
    ) -> Any:
        """Run the model.

        Args:
            inputs: Normalized images (B, 3, H, W).
            data_samples: Their data samples.
            mode: `tensor` returns retrieval features, `predict` stores them in the data samples, `loss` returns the
                current stage's named losses.
            image_index: Rows of the training set (B,), in place of images in the prompt stage.

        Returns:
            Features (B, W + D), the data samples, or a dict of losses.

        Raises:
            ValueError: If the mode is unknown.
        """
        if mode == 'loss':
            batch = {'inputs': inputs, 'data_samples': data_samples, 'image_index': image_index}
            return self.loss(**{name: value for name, value in batch.items() if value is not None})
        if mode == 'tensor':
            return self.extract_features(inputs)
        if mode == 'predict':
            for sample, feature in zip(data_samples or [], self.extract_features(inputs), strict=True):
                sample.set_field(feature, 'feature')
            return data_samples
        raise ValueError(f"mode must be 'tensor', 'predict' or 'loss', got {mode!r}.")

    def loss(self, **batch: Any) -> dict[str, Tensor]:
        """Return the current stage's weighted losses of a batch by name.

        Raises:
            RuntimeError: If no stage was started.
        """
        if self.stage is None:
            raise RuntimeError('No stage was started: train with StagedTrainLoop, or call start_stage first.')
        return self.losses[self.stage](getattr(self, f'{self.stage}_fields')(**batch))

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the losses, and stop (or note the batch as bad) if one is not finite; see the base class."""
        total, log = super().parse_losses(losses)
        self.guard.check(total, losses, self.stage)
        return total, log

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on a batch, unless it is bad and `on_nonfinite` is `skip`: then nothing is updated."""
        with self.guard.step(self, optim_wrapper.optimizer, self.stage):
            with optim_wrapper.optim_context(self):
                losses = self._run_forward(self.data_preprocessor(data, True), mode='loss')
            total, log = self.parse_losses(losses)
            if not self.guard.batch_is_bad:
                optim_wrapper.update_params(total)
        return log


def build_part(config: dict[str, Any]) -> Any:
    """Build a part of this model: names without prefix are ours, also inside another project's config."""
    with MODELS.switch_scope_and_registry('cmdg_plugin') as registry:
        return registry.build(dict(config))


def begins(name: str, beginning: str) -> bool:
    """Whether a parameter's dotted name begins with whole words of another."""
    return name == beginning or name.startswith(beginning.rstrip('.') + '.')
