"""Checkpoints: one door for reading them, what is checked, what is kept beside them, what is published.

Nothing is imported here: the registry needs `safe_classes` alone, and must stay light.
"""
