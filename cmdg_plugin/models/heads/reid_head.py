"""Classifying identities from the global features, while training."""

from mmengine.model import BaseModule
from torch import Tensor, nn

from cmdg_plugin.models.identity_count import guard_identity_count
from cmdg_plugin.registry import MODELS


@MODELS.register_module()
class ReIDHead(BaseModule):
    """A batch-norm neck and an identity classifier for each width (CMDG, head; neck after "Bag of Tricks", Luo 2019).

    The bias of the necks is frozen at 0, the classifiers have none and start from N(0, 0.001).

    Args:
        num_identities: Number of identities in the training data.
        width: Width W of the image tower.
        embed_dim: Width D shared by images and texts.
        init_cfg: MMEngine's initialization config.

    Raises:
        ValueError: If there are fewer than two identities.
    """

    def __init__(
        self, num_identities: int, width: int, embed_dim: int, init_cfg: dict | list[dict] | None = None
    ) -> None:
        super().__init__(init_cfg)
        if num_identities < 2:
            raise ValueError(
                f'Telling identities apart takes at least 2 of them, but the training data has {num_identities}.'
            )
        self.num_identities = num_identities
        self.neck_width = nn.BatchNorm1d(width)
        self.neck_shared = nn.BatchNorm1d(embed_dim)
        self.classifier_width = nn.Linear(width, num_identities, bias=False)
        self.classifier_shared = nn.Linear(embed_dim, num_identities, bias=False)
        for classifier in (self.classifier_width, self.classifier_shared):
            nn.init.normal_(classifier.weight, std=0.001)
        for neck in (self.neck_width, self.neck_shared):
            neck.bias.requires_grad_(False)
        guard_identity_count(self, num_identities, 'classifier_width.weight', 'classifier_shared.weight')

    def forward(self, global_width: Tensor, global_shared: Tensor) -> tuple[Tensor, Tensor]:
        """Score every identity from either feature.

        Args:
            global_width: Global features in the tower's width, (B, W).
            global_shared: Global features in the shared space, (B, D).

        Returns:
            Logits from either feature, twice (B, num_identities).

        Raises:
            ValueError: If a single sample comes while training.
        """
        if self.training and len(global_width) < 2:
            raise ValueError(
                f'Batch normalization cannot train on a batch of {len(global_width)}; it takes at least 2 images per '
                'process. Use a larger batch size, or drop the last incomplete batch.'
            )
        return (
            self.classifier_width(self.neck_width(global_width)),
            self.classifier_shared(self.neck_shared(global_shared)),
        )
