"""The config that MMEngine stores in a checkpoint: read without running it, and built from only if it is harmless."""

import ast
import os
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from cmdg_plugin.checkpoints.reading import read_checkpoint
from cmdg_plugin.saying import warn

_CALLS = {'dict': dict, 'set': set}


def read_checkpoint_config(path: str | os.PathLike[str], trust: bool = False) -> Config:
    """Read the config of the run that saved a checkpoint, as far as inference needs it.

    The config is stored as Python code, which MMEngine would execute. Here only literals are evaluated. What is built
    from them is checked, too, because MMEngine's registry imports and calls whatever a `type` names: unless the file is
    trusted, every `type` must be registered with this plugin, mmengine or mmpretrain, and no module is imported.

    Args:
        path: Checkpoint file.
        trust: Whether the file comes from somebody who may run code here. Then the whole config is returned as it is,
            and the modules in its `custom_imports` are imported.

    Returns:
        The config. Without trust: `default_scope`, `model`, and the pipeline of `test_dataloader`.

    Raises:
        ValueError: If the checkpoint carries none, or one that holds more than literals, or one that names something
            that is not registered.
    """
    settings = parse_stored_config(read_checkpoint(path), path)
    if trust:
        if settings.get('custom_imports'):
            import_modules_from_strings(**settings['custom_imports'])
        return Config(settings)
    # Here: what is registered is known once mmpretrain is imported, which takes seconds.
    from cmdg_plugin.checkpoints.harmless import restrict_to_harmless

    if settings.get('custom_imports'):
        warn(
            f'{path} asks for the modules {settings["custom_imports"]}: not imported, as nothing says that its author '
            'may run code here. Import them yourself first, or call init_model(..., trust=True).'
        )
    return Config(restrict_to_harmless(settings, str(path)))


def parse_stored_config(checkpoint: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """Evaluate the literals of a checkpoint's config.

    Raises:
        ValueError: If the checkpoint carries no config, or one that holds more than literals.
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, dict) else None
    if not isinstance(text, str):
        raise ValueError(f'The checkpoint {path} carries no config: give the config it was trained with.')
    try:
        return parse_literal_config(text)
    except (SyntaxError, ValueError, TypeError) as error:
        raise ValueError(f'The config in {path} cannot be read ({error}): give the config as a file.') from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(
            f'The config in {path} cannot be read (it is nested too deep): give the config as a file.'
        ) from error


def parse_literal_config(text: str) -> dict[str, Any]:
    """Evaluate a config of assignments whose values are literals, as MMEngine writes it.

    Raises:
        SyntaxError: If it is not Python.
        ValueError: If there is anything but assignments of literals.
    """
    settings = {}
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign) or not all(isinstance(name, ast.Name) for name in statement.targets):
            raise ValueError(f'line {statement.lineno} is not an assignment.')
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
