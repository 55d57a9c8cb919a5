"""A sentence with gaps that learned vectors fill."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GAP = '{}'
_PLACEHOLDER = 'X'

DEFAULT_TEMPLATE = 'A photo of a {} person.'
"""Sentence around an identity's learned vectors (CMDG, identity prompts)."""


_EXAMPLES = {1: DEFAULT_TEMPLATE, 2: 'A photo of a {} person from {} dataset.'}


def check_template(template: str, num_gaps: int = 1) -> None:
    """Check that a template has the right number of gaps.

    Args:
        template: Sentence such as 'A photo of a {} person.'.
        num_gaps: How many gaps it must have.

    Raises:
        ValueError: If it has more or fewer.
    """
    if template.count(GAP) != num_gaps:
        number = {1: 'one', 2: 'two'}.get(num_gaps, str(num_gaps))
        example = f', as in {_EXAMPLES[num_gaps]!r}' if num_gaps in _EXAMPLES else ''
        raise ValueError(f'A prompt template needs exactly {number} {{}} here{example}; got {template!r}.')


@dataclass(frozen=True)
class TokenizedTemplate:
    """A template with its gaps filled by placeholder words, as tokens.

    Attributes:
        tokens: Token ids up to and with the one that becomes the text's feature, (L,).
        gaps: Places of each gap's placeholders, from left to right.
    """

    tokens: Tensor
    gaps: tuple[slice, ...]

    def fill(self, embeddings: Tensor, *contexts: Tensor) -> Tensor:
        """Put context vectors where the placeholders stand.

        Args:
            embeddings: Token embeddings of the template, (L, text width).
            *contexts: For each gap the context vectors of each prompt, (C, number of placeholders, text width).

        Returns:
            Token embeddings of all prompts, (C, L, text width).
        """
        pieces, end = [], 0
        for gap, context in zip(self.gaps, contexts, strict=True):
            pieces += [embeddings[end : gap.start].expand(len(context), -1, -1), context.to(embeddings.dtype)]
            end = gap.stop
        return torch.cat([*pieces, embeddings[end:].expand(len(contexts[0]), -1, -1)], dim=1)


def tokenize_template(
    tokenizer: Callable[[list[str]], Tensor],
    find_ends: Callable[[Tensor], Tensor],
    template: str,
    num_context: Sequence[int],
    cut: bool = True,
) -> TokenizedTemplate:
    """Tokenize a template and locate its gaps.

    Args:
        tokenizer: Turns sentences into token ids, (B, context length).
        find_ends: Locates the end-of-text token in each row of token ids; returns (B,).
        template: Sentence with as many gaps as there are numbers.
        num_context: Number of learned vectors in each gap, at least 1.
        cut: Whether to cut the tokens after the end-of-text token, which change nothing if the tower is causal.

    Returns:
        The tokens with the places of the gaps.

    Raises:
        ValueError: If a gap is missing, glued to a word, or if the sentence is longer than the context.
    """
    check_template(template, len(num_context))
    if min(num_context) < 1:
        raise ValueError(f'A prompt needs at least one context vector in each gap, got {list(num_context)}.')
    written = template.split(GAP)
    rows = tokenizer(['', _PLACEHOLDER, *written])
    ends = find_ends(rows).tolist()
    # Each piece of the sentence comes with an end token of its own, and with a start token, if there is such a one.
    first = ends[0]
    _, placeholder, *pieces = [row[first:end] for row, end in zip(rows, ends, strict=True)]
    tokens, gaps = [rows[0, :first], pieces[0]], []
    for number, piece in zip(num_context, pieces[1:], strict=True):
        start = sum(map(len, tokens))
        gaps.append(slice(start, start + number))
        tokens += [placeholder.repeat(number), piece]
    expected = torch.cat([*tokens, rows[0, first : first + 1]])
    if len(expected) > rows.shape[1]:
        raise ValueError(
            f'{template!r} with {sum(num_context)} context vectors has {len(expected)} tokens, '
            f'but the text tower takes {rows.shape[1]}. Shorten the template or take fewer vectors.'
        )
    words = [' '.join([_PLACEHOLDER] * number) for number in num_context]
    filled = ''.join(part for pair in zip(written, [*words, ''], strict=True) for part in pair)
    whole = tokenizer([filled])[0]
    if not torch.equal(whole[: len(expected)], expected):
        raise ValueError(f'A gap in {template!r} must stand between spaces or punctuation, not touch a word.')
    return TokenizedTemplate(expected if cut else whole, tuple(gaps))
