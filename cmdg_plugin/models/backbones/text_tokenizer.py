"""From sentences to the tokens of a CLIP model, and to the tokens of a template with a gap."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import open_clip
from open_clip.tokenizer import HFTokenizer
from torch import Tensor

from cmdg_plugin.models.backbones.prompt_template import TokenizedTemplate, tokenize_template
from cmdg_plugin.models.backbones.shipped_models import tokenizer_arguments
from cmdg_plugin.models.backbones.text_tower import TextTower


class TextTokenizer:
    """Tokenizer of a CLIP model, made on first use: images alone need none.

    Args:
        tower: Its text tower.
        model_name: Its name.
        config: Its `text_cfg`.
        folder: Folder with the files of a tokenizer from Hugging Face, for a model that has such a one; they are
            fetched if None.

    Raises:
        ValueError: If the model's tokenizer is not one of Hugging Face.
    """

    def __init__(self, tower: TextTower, model_name: str, config: dict[str, Any], folder: str | None = None) -> None:
        if folder is not None and not config.get('hf_tokenizer_name'):
            raise ValueError(f"{model_name!r} has open_clip's own tokenizer: leave `tokenizer` out.")
        self.tower = tower
        self.model_name = model_name
        self.config = config
        self.folder = folder
        self.context_length: int = tower.context_length
        self._templates: dict[tuple[str, tuple[int, ...]], TokenizedTemplate] = {}

    @cached_property
    def words(self) -> Any:
        """The tokenizer itself: (sentences, length) to token ids (B, length).

        Raises:
            ValueError: If it knows more tokens than the text tower.
            FileNotFoundError: If its files cannot be fetched.
            ImportError: If it takes a package that is not installed.
        """
        tokenizer = self._load()
        known, size = getattr(tokenizer, 'vocab_size', 0), self.tower.pieces.token_embedding.num_embeddings
        if known > size:
            raise ValueError(
                f'The tokenizer of {self.model_name!r} has {known} tokens, its text tower {size}. '
                'Correct `vocab_size` in the model configuration, or name the right vocabulary.'
            )
        return tokenizer

    def _load(self) -> Any:
        name = self.config.get('hf_tokenizer_name')
        if not name:
            return open_clip.get_tokenizer(self.model_name, **tokenizer_arguments(self.model_name))
        source = str(Path(self.folder).expanduser()) if self.folder else name
        # Not earlier: who wants features of images needs no tokenizer, nor the folder that the training had.
        if self.folder and not Path(source).is_dir():
            raise FileNotFoundError(f'The tokenizer of {self.model_name!r} should be in {source!r}: no such folder.')
        try:
            return HFTokenizer(source, context_length=self.context_length, **self.config.get('tokenizer_kwargs', {}))
        except ImportError as error:
            raise ImportError(
                f'The tokenizer of {self.model_name!r} takes another package: pip install transformers. ({error}).'
            ) from error
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f'The tokenizer of {self.model_name!r}, {source!r}, could not be read ({error}). Without network, '
                'fetch its files elsewhere and name their folder as `tokenizer` of the backbone.'
            ) from error

    def ends(self, tokens: Tensor) -> Tensor:
        """Locate the end-of-text token of each row of tokens (B, L); returns (B,)."""
        if self.tower.is_causal:
            return self.tower.ends(tokens)
        # Here the tower reads the last token, which stands in the padding of all but the longest texts.
        return (tokens == self.words.tokenizer.eos_token_id).int().argmax(dim=-1)

    def tokenize(self, sentences: Sequence[str]) -> tuple[Tensor, int]:
        """Turn sentences into tokens; see `TextAwareCLIP.tokenize`."""
        if isinstance(sentences, str) or not all(isinstance(sentence, str) for sentence in sentences):
            raise TypeError('`tokenize` takes a sequence of sentences, not one string or other objects.')
        if not sentences:
            raise ValueError('`tokenize` needs at least one sentence.')
        length = self.context_length
        tokens = self.words(list(sentences), length)
        ends = self.ends(tokens)
        # Only with room for one more token can an exact fit be told from a truncated text.
        full = [sentence for sentence, end in zip(sentences, ends.tolist(), strict=True) if end == length - 1]
        longer = self.ends(self.words(full, length + 1)) == length if full else ends[:0]
        used = int(ends.max()) + 1 if self.tower.is_causal else length
        return tokens[:, :used].contiguous(), int(longer.sum())

    def template(self, template: str, num_context: tuple[int, ...]) -> TokenizedTemplate:
        """Tokenize a sentence with gaps of `num_context` tokens; see `tokenize_template`."""
        key = template, num_context
        if key not in self._templates:
            tokenized = tokenize_template(self.words, self.ends, template, num_context, cut=self.tower.is_causal)
            self._templates[key] = tokenized
        return self._templates[key]
