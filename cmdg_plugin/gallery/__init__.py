"""A gallery of people: images encoded once, searched by picture, by sentence, or by both."""

from cmdg_plugin.gallery.gallery import Gallery
from cmdg_plugin.gallery.manifest import is_gallery
from cmdg_plugin.gallery.results import AddReport, GalleryInfo, Match, SearchResult

__all__ = ['AddReport', 'Gallery', 'GalleryInfo', 'Match', 'SearchResult', 'is_gallery']
