"""What every family of image towers offers to the backbone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from cmdg_plugin.nested import has_prefix

Config = dict[str, Any]
Size = tuple[int, int]


class RegionTokens(NamedTuple):
    """What an image tower says about a batch of images; region order as in `cmdg_plugin.regions.REGIONS`.

    Attributes:
        entering_last_block: The whole image as it enters the last block, (B, C).
        regions: Region tokens in the width of the tower, (4, B, W).
        projected: Region tokens in the space shared with texts, (4, B, D).
    """

    entering_last_block: Tensor
    regions: Tensor
    projected: Tensor


class ImageTower(ABC):
    """Reads regions out of one family of image towers.

    Args:
        visual: The image tower of an open_clip model.
        grid: Height and width (h, w) of its token grid.
        embed_dim: Width D of the space shared with texts.
    """

    takes_part_tokens: ClassVar[bool] = False
    """Whether `add_part_tokens` suits this family."""

    saves_memory: ClassVar[bool] = True
    """Whether gradient checkpointing does anything."""

    convolutional: ClassVar[bool] = False
    """Whether its layers are convolutions, which compute faster with the channels of a pixel side by side."""

    positions: str
    """Name of the position embeddings below `visual`."""

    num_extra_positions: int
    """How many position embeddings stand before those of the grid."""

    after_blocks: ClassVar[tuple[str, ...]]
    """Beginnings of the names below `visual` of what comes after the blocks."""

    width: int

    def __init__(self, visual: Any, grid: Size, embed_dim: int) -> None:
        self.visual = visual
        self.grid = grid
        self.embed_dim = embed_dim

    @classmethod
    @abstractmethod
    def problem(cls, vision: Config) -> str | None:
        """Say what keeps a model's `vision_cfg` from being used, or None."""

    @classmethod
    @abstractmethod
    def stride(cls, vision: Config) -> Size:
        """Return the height and width in pixels that one token of the grid stands for."""

    @classmethod
    def sized(cls, vision: Config, size: Size) -> Config:
        """Return a `vision_cfg` that builds the tower for images of a size (height, width)."""
        return {**vision, 'image_size': size}

    @classmethod
    def resize(cls, visual: Any, size: Size) -> None:
        """Make a tower that was just built take images of a size (height, width), where `sized` is not enough."""
        return

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """Modules that run one after another, each compiled by itself."""

    def depths(self) -> dict[str, int]:
        """Depth of each parameter by its name below `visual`: 0 before the blocks, 1 to n in them, n + 1 after them."""
        in_blocks = {id(each): depth for depth, block in enumerate(self.blocks, start=1) for each in block.parameters()}
        last = len(self.blocks) + 1
        return {
            name: in_blocks.get(id(each), last if any(has_prefix(name, end) for end in self.after_blocks) else 0)
            for name, each in self.visual.named_parameters()
        }

    @abstractmethod
    def encode(self, images: Tensor) -> RegionTokens:
        """Encode normalized images, (B, 3, height, width)."""
