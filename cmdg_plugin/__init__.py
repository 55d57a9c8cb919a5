"""CMDG plugin: cross-modal domain generalization for person re-identification."""

__version__ = '0.2.0'
