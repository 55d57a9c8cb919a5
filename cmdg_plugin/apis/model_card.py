"""A published model's card: what it was trained on and under whose terms, its scores, and what it is not for."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.fileio import load

from cmdg_plugin import __version__
from cmdg_plugin.checkpoints.reading import read_checkpoint
from cmdg_plugin.checkpoints.stored_config import parse_stored_config
from cmdg_plugin.evaluation.score_table import format_score_table
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.saying import warn

UNKNOWN_TERMS = 'Not known to this software: whoever publishes the model states them here.'
_DRAWN = 'Drawn by code of this project; shows no real person; Apache 2.0.'
_PUBLIC = (
    'For research, under the terms of its owners, who give it out; may not be passed on. Captions of it describe the '
    'same people and are treated alike.'
)
_TERMS = {
    'IslandsSource': _DRAWN,
    'BenchmarkSource': _PUBLIC,
    'TorchreidSource': _PUBLIC,
    'SentenceFileSource': _PUBLIC,
}
LIMITS = (
    'Features that tell people apart are biometric data in many jurisdictions: have a lawful basis before you train or '
    'search.',
    'Not for finding named individuals or protesters, for searching by origin, religion or health, or for following '
    'people without their knowledge where the law does not allow it.',
    'A rank is not an identification: many first matches are wrong on unseen cameras, and errors are not evenly spread '
    'over people. A person checks before anything follows from a match.',
    'Features are deleted with the images they came from: they identify the same people.',
)
"""What a model is not for; in full in docs/responsible-use.md."""

_RULE = (
    "Percent. Gallery images of the query's identity and camera are ignored; queries without another match do not "
    'count.'
)


def write_model_card(published: Path, results: Path | None = None) -> tuple[Path, Path]:
    """Write a model's card beside its file, as Markdown and as JSON.

    Args:
        published: File that `publish_model` wrote.
        results: Scores: a run's `results.json`, or what `tools/test.py --out FILE --out-item metrics` wrote.

    Returns:
        The Markdown file and the JSON file.

    Raises:
        FileNotFoundError: If one of the files is not there.
        ValueError: If the model carries no config, or the results hold no scores.
    """
    scores = None if results is None else _read_scores(results)
    card = describe_model(published, scores)
    markdown, data = published.with_suffix('.md'), published.with_suffix('.json')
    write_whole(markdown, format_model_card(card))
    write_whole(data, json.dumps(card, indent=1, ensure_ascii=False) + '\n')
    unknown = [source['name'] for source in card['sources'] if source['terms'] == UNKNOWN_TERMS]
    if unknown:
        warn(f'{markdown}: the terms of {", ".join(unknown)} are not known; state them in the card.')
    return markdown, data


def describe_model(published: Path, scores: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Gather what a card says.

    Args:
        published: File that `publish_model` wrote.
        scores: Metrics of `ReIDMetric`, in percent.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint, or carries no config.
    """
    checkpoint = read_checkpoint(published)
    config, meta = parse_stored_config(checkpoint, published), checkpoint['meta']
    model, data = _part(config, 'model'), _part(config, 'train_dataloader')
    backbone, dataset = _part(model, 'backbone'), _part(data, 'dataset')
    weights, tested = checkpoint['state_dict'], _part(_part(config, 'test_dataloader'), 'dataset')
    initial = backbone.get('pretrained')
    return {
        'file': published.name,
        'sha256': hashlib.sha256(published.read_bytes()).hexdigest(),
        'software': {'cmdg_plugin': __version__, 'mmengine': meta.get('mmengine_version')},
        'model': {
            'type': model.get('type'),
            'backbone': backbone.get('model_name') or backbone.get('type'),
            'initial_weights': Path(initial).name if initial else None,
            'image_size': backbone.get('image_size'),
            'normalization': _part(model, 'data_preprocessor').get('normalization'),
            'parameters': sum(value.numel() for value in weights.values()),
            'dtypes': sorted({str(value.dtype).removeprefix('torch.') for value in weights.values()}),
        },
        'recipe': {
            'experiment': meta.get('experiment_name'),
            'seed': meta.get('seed'),
            'epoch': meta.get('epoch'),
            'interpolation': meta.get('interpolation'),
            'batch': {'images': data.get('batch_size'), **_plain(_part(data, 'sampler'))},
            'optimizer': _plain(_part(_part(config, 'optim_wrapper'), 'optimizer')),
            'stages': [
                _describe_stage(stage, model)
                for stage in _part(config, 'train_cfg').get('stages', ())
                if stage['epochs']
            ],
        },
        'subsets': dataset.get('subsets'),
        'sources': _describe_sources(dataset.get('sources')),
        'targets': [
            {**target, 'split': tested.get('split', 'its own')} for target in _describe_sources(tested.get('targets'))
        ],
        'scores': None if scores is None else dict(scores),
        'limits': list(LIMITS),
    }


def format_model_card(card: Mapping[str, Any]) -> str:
    """Lay a card out as Markdown.

    Args:
        card: What `describe_model` returns.

    Raises:
        ValueError: If its scores have no target's.
    """
    model, recipe = card['model'], card['recipe']
    facts = {
        'file': f'`{card["file"]}`',
        'SHA-256': f'`{card["sha256"]}`',
        'model': f'{model["type"]} on {model["backbone"]}, {model["parameters"]:,} numbers ({_spell(model["dtypes"])})',
        'initial weights': model['initial_weights'] or 'random, or not recorded',
        'image size': f'{_spell(model["image_size"])} (height, width)',
        'normalization': f'{model["normalization"]}, inside the model',
        'written by': f'cmdg_plugin {card["software"]["cmdg_plugin"]}',
        'recipe': f'{recipe["experiment"]}, seed {recipe["seed"]}, epoch {recipe["epoch"]}',
        'batch': _spell(recipe['batch']),
        'optimizer': _spell(recipe['optimizer']),
    }
    scores = f'{_RULE}\n\n{format_score_table(card["scores"], style="markdown")}' if card['scores'] else 'None given.'
    limits = '\n'.join(f'- {limit}' for limit in card['limits'])
    return f"""# {Path(card['file']).stem}

Features for person re-identification in cameras that were not trained on. Loads by
`init_model(None, '{card['file']}')`.

{_table(('', ''), facts.items())}

## Stages

{_table(('stage', 'epochs', 'trains', 'losses (weight)'), (stage.values() for stage in recipe['stages']))}

## Trained on

Images: {_spell(card['subsets']) if card['subsets'] else 'the training split'} of

{_table(('source', 'read by', 'terms'), ((s['name'], s['type'], s['terms']) for s in card['sources']))}

Whoever uses the model respects these terms, and those of the initial weights.

## Tested on

{_table(('target', 'split', 'terms'), ((t['name'], t['split'], t['terms']) for t in card['targets']))}

{scores}

## Limits

{limits}
"""


def _read_scores(path: Path) -> dict[str, float]:
    if not path.is_file():
        raise FileNotFoundError(f'No results at {path}.')
    try:
        content = load(path)
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path} holds no scores that can be read ({error}).') from error
    # A run's results.json holds the scores before and after training.
    scores = content.get('after', content) if isinstance(content, Mapping) else None
    if not isinstance(scores, Mapping) or not any(isinstance(value, (int, float)) for value in scores.values()):
        raise ValueError(f'{path} holds no scores: give a results.json, or a file of test.py --out-item metrics.')
    return {str(name): float(value) for name, value in scores.items() if isinstance(value, (int, float))}


def _describe_stage(stage: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    terms = (model.get('losses') or {}).get(stage.get('name')) or []
    losses = {term.get('name') or term.get('type'): term.get('weight', 1.0) for term in terms}
    return {
        'name': stage.get('name'),
        'epochs': stage.get('epochs'),
        'trains': stage.get('trainable'),
        'losses': losses,
    }


def _describe_sources(sources: Any) -> list[dict[str, Any]]:
    return [_describe_source(source) for source in sources or []]


def _describe_source(source: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(source.get('type', '')).rpartition('.')[2]
    if isinstance(source.get('source'), Mapping):  # a source put aside, or otherwise wrapped
        return {**_describe_source(source['source']), 'type': kind}
    described = {'name': source.get('name') or source.get('domain') or kind, 'type': kind}
    if source.get('version'):
        described['version'] = source['version']
    return {**described, 'terms': _TERMS.get(kind, UNKNOWN_TERMS)}


def _part(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the settings of a part; none where the config has no such part."""
    part = settings.get(name)
    return part if isinstance(part, Mapping) else {}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the settings that are numbers or words."""
    return {name: value for name, value in settings.items() if isinstance(value, (int, float, str))}


def _spell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ', '.join(
            f'{name} {entry:g}' if isinstance(entry, float) else f'{name} {entry}' for name, entry in value.items()
        )
    return ', '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _table(headers: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    headers = list(headers)
    cells = ([_spell(cell).replace('|', r'\|') for cell in row] for row in rows)
    return '\n'.join(f'| {" | ".join(line)} |' for line in [headers, ['---'] * len(headers), *cells])
