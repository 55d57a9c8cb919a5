"""Trained models as files that run without this package."""

from cmdg_plugin.exporting.exporting import ExportReport, export_images
from cmdg_plugin.exporting.requests import check_request
from cmdg_plugin.exporting.running import ExportedFile, open_exported

__all__ = ['ExportReport', 'ExportedFile', 'check_request', 'export_images', 'open_exported']
