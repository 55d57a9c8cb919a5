"""The config that MMEngine stores in a checkpoint, read without running it."""

import ast
import os
from typing import Any

import torch
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from cmdg_plugin.checkpoints import trust_checkpoint_classes

_CALLS = {'dict': dict, 'set': set}


def read_checkpoint_config(path: str | os.PathLike[str]) -> Config:
    """Read the config of the run that saved a checkpoint.

    The config is stored as Python code, which MMEngine would execute. Here only literals are evaluated, so that a file
    from anywhere runs no code. Installed modules that it lists in `custom_imports` are imported.

    Args:
        path: Checkpoint file.

    Returns:
        The config.

    Raises:
        ValueError: If the checkpoint carries none, or one that holds more than literals.
    """
    trust_checkpoint_classes()
    checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    text = checkpoint.get('meta', {}).get('cfg')
    if not isinstance(text, str):
        raise ValueError(f'The checkpoint {path} carries no config: give the config it was trained with.')
    try:
        settings = parse_literal_config(text)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f'The config in {path} cannot be read ({error}): give the config as a file.') from error
    if settings.get('custom_imports'):
        import_modules_from_strings(**settings['custom_imports'])
    return Config(settings)


def parse_literal_config(text: str) -> dict[str, Any]:
    """Evaluate a config of assignments whose values are literals, as MMEngine writes it.

    Args:
        text: Python source.

    Returns:
        Value by name.

    Raises:
        SyntaxError: If it is no Python.
        ValueError: If there is anything but assignments of literals.
    """
    settings = {}
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign) or not all(isinstance(name, ast.Name) for name in statement.targets):
            raise ValueError(f'line {statement.lineno} is no assignment')
        for name in statement.targets:
            settings[ast.unparse(name)] = _evaluate(statement.value)
    return settings


def _evaluate(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
        arguments = [_evaluate(argument) for argument in node.args]
        named = {str(keyword.arg): _evaluate(keyword.value) for keyword in node.keywords if keyword.arg}
        return _CALLS[node.func.id](*arguments, **named)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_evaluate(key): _evaluate(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(_evaluate(element) for element in node.elts)
    return ast.literal_eval(node)
