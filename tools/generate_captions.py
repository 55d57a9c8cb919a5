"""Caption images of people: one sentence for the whole person and one for each body third.

    python tools/generate_captions.py IMAGES --out captions.json --endpoint http://127.0.0.1:8000/v1 --model NAME
    python tools/generate_captions.py IMAGES --out captions.json --backend transformers --model NAME_OR_FOLDER
    python tools/generate_captions.py IMAGES --out captions.json --merge

IMAGES is a folder, or an index (.json, .jsonl, .csv). The same command again continues a run that was stopped. Formats,
shards and what is safe against what: docs/captions.md.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import DictAction
from mmengine.utils import import_modules_from_strings

from cmdg_plugin.saying import complain, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from cmdg_plugin.captioning import CaptionJob, CaptionSettings, PromptBook, RunSummary

_BACKEND_ARGUMENTS = {
    'endpoint': ('in_flight', 'timeout', 'max_retries', 'patience', 'max_side', 'api_key_variable'),
    'transformers': ('batch_size', 'device', 'dtype'),
}
_SHARED_ARGUMENTS = ('min_side',)
SOME_FAILED, WRONG_ARGUMENTS, STOPPED, INTERRUPTED = 3, 2, 1, 130


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Caption images of people, for the whole person and for each third',
        epilog='exit codes: 0 all captioned; 1 stopped by an error; 2 wrong arguments; 3 some images failed for good; '
        '130 interrupted. After 1 and 130 the same command continues.',
    )
    parser.add_argument('source', type=Path, metavar='IMAGES', help='folder of images, or index (.json, .jsonl, .csv)')
    parser.add_argument(
        '--out', type=Path, required=True, help='caption file to write (.json); the journal lies beside it'
    )
    parser.add_argument('--image-root', type=Path, help="where the index's paths start (default: its folder)")
    parser.add_argument('--model', help='name of the model, as the server or the hub knows it, or a local folder')
    _add_backend_arguments(parser)
    questions = parser.add_argument_group('questions')
    questions.add_argument('--prompts', type=Path, help='own prompts file (default: the one that ships)')
    questions.add_argument('--view', default='whole', help='whole: name the third; crop: cut it out (default: whole)')
    questions.add_argument('--wording', default='first', help='first, or varied: draw per image (default: first)')
    questions.add_argument('--temperature', type=float, default=0.0, help='0 is deterministic (default: 0)')
    questions.add_argument('--seed', type=int, default=0, help='of sampling and wordings (default: 0)')
    questions.add_argument('--max-tokens', type=int, default=120, help='longest answer (default: 120)')
    questions.add_argument('--attempts', type=int, default=3, help='before a sentence fails for good (default: 3)')
    run = parser.add_argument_group('run')
    run.add_argument('--shard', help='caption only part i/n, into OUT.i-of-n.json')
    run.add_argument(
        '--merge', nargs='*', type=Path, metavar='JOURNAL', help="merge shards' journals (default: beside OUT)"
    )
    run.add_argument('--retry-failed', action='store_true', help='ask again for what failed for good before')
    run.add_argument('--fsync-seconds', type=float, default=1.0, help='force the journal to the disk this often')
    return parser.parse_args(arguments)


def _add_backend_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--backend', help='endpoint, transformers, or one you registered (default: endpoint)')
    parser.add_argument('--imports', nargs='+', default=[], metavar='MODULE', help='modules that register backends')
    parser.add_argument(
        '--backend-options', nargs='+', action=DictAction, default={}, help='more options, as key=value'
    )
    parser.add_argument(
        '--min-side', type=int, help='scale images and thirds with a side of fewer pixels up to this (default: 28)'
    )
    endpoint = parser.add_argument_group('endpoint')
    endpoint.add_argument('--endpoint', nargs='+', metavar='URL', help='base URLs of OpenAI-compatible servers')
    endpoint.add_argument('--in-flight', type=int, help='requests at once for each server (default: 16)')
    endpoint.add_argument('--timeout', type=float, help='seconds for one try (default: 120)')
    endpoint.add_argument('--max-retries', type=int, help='tries after the first (default: 4)')
    endpoint.add_argument('--patience', type=float, help='seconds without any answer that end the run (default: 600)')
    endpoint.add_argument('--max-side', type=int, help='scale larger images down to this (default: 1280 pixels)')
    endpoint.add_argument('--api-key-variable', help='environment variable with the key (default: OPENAI_API_KEY)')
    local = parser.add_argument_group('transformers')
    local.add_argument('--batch-size', type=int, help='requests at once (default: 8)')
    local.add_argument('--device', help='such as cuda or cpu (default: a GPU if there is one)')
    local.add_argument('--dtype', help='auto, bfloat16, float16 or float32 (default: auto, as saved)')


def backend_config(args: argparse.Namespace) -> dict[str, Any]:
    """The backend's config: what its arguments say, over its own defaults.

    Raises:
        ValueError: If an argument belongs to another backend, or one is missing.
    """
    kind = args.backend or 'endpoint'
    config: dict[str, Any] = {'type': kind, 'model': args.model}
    for owner, names in _BACKEND_ARGUMENTS.items():
        given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        if given and owner != kind:
            wrong = ', '.join(f'--{name.replace("_", "-")}' for name in given)
            raise ValueError(f'{wrong} belong to the backend {owner}, but --backend is {kind}.')
        config.update(given)
    config.update({name: getattr(args, name) for name in _SHARED_ARGUMENTS if getattr(args, name) is not None})
    if kind == 'endpoint':
        config['endpoints'] = args.endpoint or []
    elif args.endpoint:
        raise ValueError(f'--endpoint belongs to the backend endpoint, but --backend is {kind}.')
    return {**config, **args.backend_options}


def prepare(args: argparse.Namespace) -> 'Callable[[], RunSummary]':
    """Read what the command line asks for; returns what does it.

    Raises:
        ValueError: If arguments contradict one another, or one is missing; like the others, before anything is done.
        FileNotFoundError: If there are no such images.
        ImportError: If a module that registers backends cannot be imported.
    """
    from cmdg_plugin.captioning import CAPTION_BACKENDS, Shard, generate_captions, merge_shards

    if not args.source.exists():
        raise FileNotFoundError(f'no images at {args.source}: give a folder, or an index (.json, .jsonl, .csv).')
    if args.merge is not None:
        return partial(merge_shards, args.source, args.out, args.merge)
    import_modules_from_strings(args.imports)
    job, settings, prompts = _plan(args, Shard.parse(args.shard) if args.shard else None)
    config = backend_config(args)
    if CAPTION_BACKENDS.get(config['type']) is None:
        known = ', '.join(CAPTION_BACKENDS.module_dict)
        raise ValueError(f'unknown backend {config["type"]!r}; expected one of {known}, or one that is registered.')
    if config['type'] == 'endpoint' and not config['endpoints']:
        raise ValueError('give --endpoint URL, or --backend transformers.')
    return partial(generate_captions, job, settings, prompts, lambda: CAPTION_BACKENDS.build(config))


def _plan(args: argparse.Namespace, shard: Any) -> 'tuple[CaptionJob, CaptionSettings, PromptBook]':
    from cmdg_plugin.captioning import DEFAULT_PROMPTS, CaptionJob, CaptionSettings, load_prompts

    prompts = load_prompts(args.prompts or DEFAULT_PROMPTS)
    settings = CaptionSettings(
        model=args.model or '',
        prompt_version=prompts.version,
        view=args.view,
        wording=args.wording,
        temperature=args.temperature,
        seed=args.seed,
        max_tokens=args.max_tokens,
    )
    job = CaptionJob(
        source=args.source,
        out=shard.output_path(args.out) if shard else args.out,
        image_root=args.image_root,
        shard=shard,
        attempts=args.attempts,
        fsync_seconds=args.fsync_seconds,
        retry_failed=args.retry_failed,
    )
    return job, settings, prompts


def main(arguments: list[str] | None = None) -> int:
    """Run, and say in one line what ended the run early; returns the exit code."""
    args = parse_args(arguments)
    # Here, so that -h answers at once.
    from cmdg_plugin.captioning.backends import BackendUnavailable
    from cmdg_plugin.files.locking import InUse

    try:
        run = prepare(args)
    except (ImportError, OSError, ValueError) as error:
        complain(f'{type(error).__name__}: {error}')
        return WRONG_ARGUMENTS
    try:
        summary = run()
    except KeyboardInterrupt:
        say('Interrupted; every finished sentence is on disk. The same command continues.')
        return INTERRUPTED
    except (BackendUnavailable, InUse, ImportError, OSError, ValueError) as error:
        complain(f'{type(error).__name__}: {error}')
        say('Every finished sentence is on disk; once this is solved, the same command continues.')
        return STOPPED
    return SOME_FAILED if summary.failed else 0


if __name__ == '__main__':
    sys.exit(main())
