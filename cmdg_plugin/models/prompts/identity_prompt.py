"""Learned words that describe one identity each, and one domain each where a template asks for them."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from cmdg_plugin.models.backbones.prompt_template import check_template
from cmdg_plugin.models.identity_count import guard_identity_count
from cmdg_plugin.registry import MODELS


@MODELS.register_module()
class IdentityPrompt(BaseModule):
    """Context vectors of every identity (CMDG, identity prompts; after CLIP-ReID, stage one).

    They stand in the gap of a template, by default "A photo of a X X X X person."; the backbone's `encode_prompts`
    turns them into text features. The vectors start from N(0, 0.02).

    A `domain_template`, such as "A photo of a X X X X person from Y dataset.", adds learned vectors Y for every domain
    (CILP-FGDI, domain-relevant prompts).

    Args:
        num_identities: Number of identities in the training data.
        text_width: Width of the text tower's token embeddings.
        num_context: Number of learned vectors per identity.
        template: Sentence with one gap for them.
        num_domains: Number of domains in the training data.
        num_domain_context: Number of learned vectors per domain.
        domain_template: Sentence with one gap for the identity and, after it, one for the domain.
        init_cfg: MMEngine's initialization config.

    Raises:
        ValueError: If a number is below one, or if a template has not exactly its gaps.
    """

    def __init__(
        self,
        num_identities: int,
        text_width: int,
        num_context: int = 4,
        template: str = 'A photo of a {} person.',
        num_domains: int = 1,
        num_domain_context: int = 1,
        domain_template: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if min(num_identities, text_width, num_context, num_domains, num_domain_context) < 1:
            raise ValueError(
                'Identity prompts need at least one identity, one context vector and a text width of one; got '
                f'num_identities={num_identities}, num_context={num_context}, text_width={text_width}, '
                f'num_domains={num_domains}, num_domain_context={num_domain_context}.'
            )
        check_template(template)
        self.num_identities = num_identities
        self.template = template
        self.context = nn.Parameter(torch.empty(num_identities, num_context, text_width))
        nn.init.normal_(self.context, std=0.02)
        guard_identity_count(self, num_identities, 'context')
        self.domain_template = domain_template
        if domain_template is not None:
            check_template(domain_template, num_gaps=2)
            self.domain_context = nn.Parameter(torch.empty(num_domains, num_domain_context, text_width))
            nn.init.normal_(self.domain_context, std=0.02)
            guard_identity_count(self, num_domains, 'domain_context', what='domains')

    def forward(self, labels: Tensor) -> Tensor:
        """Look context vectors up.

        Args:
            labels: Identities, (B,), each from 0 to `num_identities` - 1.

        Returns:
            Their context vectors, (B, num_context, text width).

        Raises:
            TypeError: If the labels are not int64.
        """
        if labels.dtype != torch.int64:
            raise TypeError(f'Identity labels must be int64, got {labels.dtype}.')
        return self.context[labels]

    def in_domain(self, labels: Tensor, domains: Tensor) -> tuple[Tensor, Tensor]:
        """Look up what fills the two gaps of `domain_template`.

        The identities' vectors are given as they are, without gradient: only the domains learn from these sentences.

        Args:
            labels: Identities, (B,).
            domains: Their domains, (B,), each from 0 to `num_domains` - 1.

        Returns:
            Context vectors of the identities, (B, num_context, text width), and of the domains, (B,
            num_domain_context, text width).
        """
        return self(labels).detach(), self.domain_context[domains]
