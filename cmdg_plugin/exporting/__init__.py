"""Trained models as files that run without this package."""

from cmdg_plugin.exporting.exported_model import is_exported, use_exported
from cmdg_plugin.exporting.exporting import ExportReport, export_images, export_texts
from cmdg_plugin.exporting.requests import check_request, check_text_request
from cmdg_plugin.exporting.running import ExportedFile, open_exported

__all__ = [
    'ExportReport',
    'ExportedFile',
    'check_request',
    'check_text_request',
    'export_images',
    'export_texts',
    'is_exported',
    'open_exported',
    'use_exported',
]
