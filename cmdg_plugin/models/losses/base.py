"""What a loss term is: a module with a few members that its stage's list asks for."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from cmdg_plugin.models.training_images import DataSizes

if TYPE_CHECKING:
    from cmdg_plugin.models.backbones import TextAwareCLIP


class LossTerm(nn.Module):
    """Base of the modules in a stage's list of loss terms (see `LossTerms`).

    `forward` takes fields by name, and returns a scalar loss: alone, or before what the term leaves for later ones.
    Any `nn.Module` may be a term; this base adds what most of them do without.

    Attributes:
        has_loss: False for a term that has no loss: `forward` returns what its `outputs` name, or a dict of numbers for
            the log.
        needed_by: Argument of `forward` by what does nothing without it: an option of the constructor, or another
            argument.
        reads_bank_captions: Whether it chooses among the bank's entries by their captions, so that images without
            captions, which resemble each other perfectly, may not be trained on.
        renamed_inputs: New name of an argument of `forward` by the one that older configs use; None for one that is no
            longer needed.
        identity_source: Where the features of identities come from that `begin` asks for: `images`, `captions` or
            `prompts`. Prompts that nobody has learned and missing captions are then refused before training.
        start_epoch: First epoch of the stage, from 0, in which it does anything.
    """

    has_loss: ClassVar[bool] = True
    needed_by: ClassVar[Mapping[str, str]] = {}
    reads_bank_captions: ClassVar[bool] = False
    identity_source: str | None = None
    renamed_inputs: ClassVar[Mapping[str, str | None]] = {}
    start_epoch: int = 0

    def bind_data(self, sizes: DataSizes) -> None:
        """Make the parameters whose number the training data decides; called before anything is trained or loaded.

        Args:
            sizes: How large data and features are.
        """

    def bind_backbone(self, backbone: 'TextAwareCLIP') -> None:
        """Take note of the backbone as it was built; called beside `bind_data`, with its first weights.

        Args:
            backbone: The backbone. Its parameters stay where they are: keep them in a list, or they are saved twice.
        """

    def check_data(self, sizes: DataSizes) -> None:
        """Refuse training data that this term can do nothing with, before any epoch is trained.

        Args:
            sizes: How large data and features are.

        Raises:
            ValueError: If there is too little of something.
        """

    def begin(self, identity_features: Callable[[str], Tensor], resumed: bool) -> None:
        """Start what the term keeps of the training data; called when its stage is prepared, before its first batch.

        Buffers of the term are saved in checkpoints, and put back where a bad batch is left out.

        Args:
            identity_features: Computes one feature of every identity, (C, D), of `images`, `captions` or `prompts`.
            resumed: Whether the run goes on inside the stage, with the buffers of its checkpoint.
        """


BASE_MEMBERS = tuple(name for name in vars(LossTerm) if not name.startswith('_'))
"""Members by which a module shows that it should derive from the base."""
