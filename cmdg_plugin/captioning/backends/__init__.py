"""Where captions come from; what a backend needs is imported when it is built."""

from cmdg_plugin.captioning.backends.base import (
    CAPTION_BACKENDS,
    BackendUnavailable,
    CaptionAnswer,
    CaptionBackend,
    CaptionRequest,
    RequestFailed,
)
from cmdg_plugin.captioning.backends.openai_endpoint import OpenAIEndpoint
from cmdg_plugin.captioning.backends.transformers_local import TransformersLocal

__all__ = [
    'CAPTION_BACKENDS',
    'BackendUnavailable',
    'CaptionAnswer',
    'CaptionBackend',
    'CaptionRequest',
    'OpenAIEndpoint',
    'RequestFailed',
    'TransformersLocal',
]
