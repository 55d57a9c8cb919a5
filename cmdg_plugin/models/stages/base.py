"""What a stage of training is."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from torch import Tensor

from cmdg_plugin.models.cached_tensors import CachesTensors

if TYPE_CHECKING:
    from cmdg_plugin.models.cmdg_reid import CMDGReID
    from cmdg_plugin.models.memory import CaptionMemoryBank


class Preparation(Protocol):
    """What the engine offers a stage that begins: passes over the training set, and how the run came here."""

    @property
    def resumed(self) -> bool:
        """Whether the run goes on inside this stage, from a checkpoint."""

    @property
    def stages_done(self) -> Sequence[str]:
        """Names of the stages that this run, or the one that its weights come from, has trained before."""

    def image_features(self, rows: slice | None) -> Tensor:
        """Encode the training images, or those of some rows, once: (n, R, D)."""

    def caption_features(self, rows: slice | None) -> Tensor:
        """Encode their captions once: (n, R, D)."""

    def restore_bank(self, memory: 'CaptionMemoryBank') -> None:
        """Read the rows of a sharded bank that lie beside the checkpoint."""


class TrainingStage(CachesTensors):
    """One stage: the fields that it gives its loss terms, what it prepares, and what it keeps.

    A stage is a registered class in one file. `CMDGReID` holds one object of each; `model.losses.<name>` lists its loss
    terms, and `train_cfg.stages` says when it runs and what it trains. It has no parameters of its own: those of the
    model are handed to every method.

    Attributes:
        fields: Dataclass of what `compute` returns; the names are what loss terms read.
        domain_fields: Names of those that are there only where the config has a template for prompts with a domain.
        reads_text: Whether it encodes sentences, so that the backbone's tokenizer must be at hand.
        name: What configs call it; set by the model.
    """

    fields: ClassVar[type]
    domain_fields: ClassVar[tuple[str, ...]] = ()
    reads_text: ClassVar[bool] = False
    name: str = ''

    def provides(self, model: 'CMDGReID') -> tuple[str, ...]:
        """Names of the fields that this model's batches have in this stage."""
        absent = () if model.has_domain_prompts else self.domain_fields
        return tuple(field.name for field in fields(self.fields) if field.name not in absent)

    def check(self, model: 'CMDGReID', trained: frozenset[str], dataset: Any) -> None:
        """Refuse settings or data that this stage cannot work with, before anything is trained.

        Args:
            model: The model.
            trained: Names of the parameters that the stage trains.
            dataset: The training set; None where there is none yet.

        Raises:
            ValueError: If there are any.
        """

    def prepare(self, model: 'CMDGReID', preparation: Preparation) -> None:
        """Compute what the stage's batches need, once, when it begins."""

    @abstractmethod
    def compute(self, model: 'CMDGReID', batch: Mapping[str, Any]) -> Any:
        """Compute the fields of a batch.

        Args:
            model: The model.
            batch: What the dataloader gives: `inputs` (B, 3, H, W) and `data_samples`, or `image_index` (B,).

        Returns:
            An instance of `fields`, of the batches of all ranks; None stands for what no loss term reads.
        """

    def state(self, model: 'CMDGReID') -> dict[str, Any]:
        """What a checkpoint must hold beside weights for the stage to go on from it, by key of the checkpoint."""
        return {}

    def load_state(self, model: 'CMDGReID', checkpoint: Mapping[str, Any]) -> None:
        """Take from a checkpoint what `state` put there; it may be of another stage."""
