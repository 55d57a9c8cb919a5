"""What users call from Python."""

from cmdg_plugin.apis.inference import encode_text, extract_features, init_model
from cmdg_plugin.apis.preparation import ImagePreparation, list_images

__all__ = ['ImagePreparation', 'encode_text', 'extract_features', 'init_model', 'list_images']
