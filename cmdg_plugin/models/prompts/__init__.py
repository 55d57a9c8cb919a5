"""Prompts: learned words beside written ones."""

from cmdg_plugin.models.prompts.identity_prompt import IdentityPrompt

__all__ = ['IdentityPrompt']
