"""CMDG plugin: cross-modal domain generalization for person re-identification."""

__version__ = '0.1.0'
