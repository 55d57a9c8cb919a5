"""A sentence with a gap that learned vectors fill."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cmdg_plugin.models.backbones.text_tower import end_positions

GAP = '{}'
_PLACEHOLDER = 'X'

DEFAULT_TEMPLATE = 'A photo of a {} person.'
"""Sentence around an identity's learned vectors (CMDG, identity prompts)."""


def check_template(template: str) -> None:
    """Check that a template has exactly one gap.

    Args:
        template: Sentence such as 'A photo of a {} person.'.

    Raises:
        ValueError: If it has no gap or several.
    """
    if template.count(GAP) != 1:
        raise ValueError(
            f"A prompt template needs exactly one {{}}, as in 'A photo of a {{}} person.', got {template!r}."
        )


@dataclass(frozen=True)
class TokenizedTemplate:
    """A template with its gap filled by placeholder words, as tokens.

    Attributes:
        tokens: Token ids up to and with the end-of-text token, (L,).
        start: Index of the first placeholder.
        num_context: Number of placeholders.
    """

    tokens: Tensor
    start: int
    num_context: int

    def fill(self, embeddings: Tensor, context: Tensor) -> Tensor:
        """Put context vectors where the placeholders stand.

        Args:
            embeddings: Token embeddings of the template, (L, text width).
            context: Context vectors of each prompt, (C, num_context, text width).

        Returns:
            Token embeddings of all prompts, (C, L, text width).
        """
        before, after = embeddings[: self.start], embeddings[self.start + self.num_context :]
        repeated = [part.expand(len(context), -1, -1) for part in (before, after)]
        return torch.cat([repeated[0], context.to(embeddings.dtype), repeated[1]], dim=1)


def tokenize_template(
    clip: nn.Module, tokenizer: Callable[[list[str]], Tensor], template: str, num_context: int
) -> TokenizedTemplate:
    """Tokenize a template and locate its gap.

    Args:
        clip: The model, which knows how its tokenizer marks the end of a text.
        tokenizer: Turns sentences into token ids, (B, context length).
        template: Sentence with one gap.
        num_context: Number of learned vectors in the gap, at least 1.

    Returns:
        The tokens with the place of the gap.

    Raises:
        ValueError: If the gap is missing, glued to a word, or if the sentence is longer than the context.
    """
    check_template(template)
    if num_context < 1:
        raise ValueError(f'A prompt needs at least one context vector, got {num_context}.')
    filled = template.replace(GAP, ' '.join([_PLACEHOLDER] * num_context))
    prefix, suffix = template.split(GAP)
    tokens, before, after, placeholder = tokenizer([filled, prefix, suffix, _PLACEHOLDER])
    end, start, rest, _ = end_positions(clip, torch.stack([tokens, before, after, placeholder])).tolist()
    if start + num_context + rest > len(tokens):
        raise ValueError(
            f'{template!r} with {num_context} context vectors has {start + num_context + rest} tokens, '
            f'but the text tower takes {len(tokens)}. Shorten the template or take fewer vectors.'
        )
    gap = tokens[start : start + num_context]
    # `rest` counts the start token of the suffix, which takes the place of the end token of the whole.
    if end != start + num_context + rest - 1 or not bool((gap == placeholder[1]).all()):
        raise ValueError(f'The gap in {template!r} must stand between spaces or punctuation, not touch a word.')
    return TokenizedTemplate(tokens[: end + 1].clone(), start, num_context)
