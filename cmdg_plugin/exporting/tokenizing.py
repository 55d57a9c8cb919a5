"""A model's tokenizer as one file that Hugging Face's `tokenizers` reads in many languages."""

from typing import Any

from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

from cmdg_plugin.extras import import_extra
from cmdg_plugin.models.backbones.text_tokenizer import TextTokenizer

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
_SINGLE = '<start_of_text> $A <end_of_text>'


def tokenizer_json(tokenizer: TextTokenizer) -> str:
    """Write a tokenizer as `tokenizer.json`: it cleans, cuts and pads as the model's own does.

    What is left to who uses it: mending text that was decoded wrongly, and HTML's `&amp;`.

    Args:
        tokenizer: The model's.

    Raises:
        ImportError: If `tokenizers` is missing.
        ValueError: If there is no such form of it.
    """
    words = tokenizer.words
    if type(words) is SimpleTokenizer and words.reduction_fn is None:
        made, padding = _byte_pairs(words), 0
    elif type(words) is HFTokenizer and not (words.strip_sep_token or words.tokenizer_mode):
        made, padding = _of_hugging_face(words, tokenizer.model_name), words.tokenizer.pad_token_id
    else:
        raise ValueError(f'The tokenizer of {tokenizer.model_name!r} has no tokenizer.json; leave --text out.')
    own = [] if made.normalizer is None else [made.normalizer]
    made.normalizer = _package().normalizers.Sequence([*_cleaning(words.clean_fn.__name__), *own])
    made.enable_truncation(tokenizer.context_length)
    made.enable_padding(length=tokenizer.context_length, pad_id=padding, pad_token=made.id_to_token(padding))
    return made.to_str()


def _package() -> Any:
    return import_extra('tokenizers', 'export')


def _byte_pairs(words: SimpleTokenizer) -> Any:
    """open_clip's own tokenizer."""
    package = _package()
    merges = [pair for pair in words.bpe_ranks if len(pair) == 2]
    made = package.Tokenizer(package.models.BPE(words.encoder, merges, end_of_word_suffix='</w>'))
    made.pre_tokenizer = package.pre_tokenizers.Sequence(
        [
            package.pre_tokenizers.Split(package.Regex(_WORDS), 'removed', invert=True),
            package.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    marks = [(token, words.encoder[token]) for token in ('<start_of_text>', '<end_of_text>')]
    made.post_processor = package.processors.TemplateProcessing(single=_SINGLE, special_tokens=marks)
    return made


def _of_hugging_face(words: HFTokenizer, model_name: str) -> Any:
    """A tokenizer from Hugging Face, as far as it is one of `tokenizers`."""
    backend = getattr(words.tokenizer, 'backend_tokenizer', None)
    if backend is None:
        raise ValueError(f'The tokenizer of {model_name!r} is written in Python; leave --text out.')
    return _package().Tokenizer.from_str(backend.to_str())


def _cleaning(name: str) -> list[Any]:
    """What open_clip does to a sentence before it is cut into words, by the name of its function."""
    package = _package()
    replace, lower, pattern = package.normalizers.Replace, package.normalizers.Lowercase, package.Regex
    spaces = [replace(pattern(r'\s+'), ' '), package.normalizers.Strip()]
    if name == '_clean_canonicalize':
        return [replace('_', ' '), replace(pattern(r'[!-/:-@\[-`{-~]'), ''), lower(), *spaces]
    return [*spaces, lower()] if name == '_clean_lower' else spaces
