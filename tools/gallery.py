"""A gallery of people: add images, search them by picture and by sentence, learn when nobody matches.

    python tools/gallery.py add GALLERY IMAGES --model work_dirs/cmdg_toy-vit_islands/epoch_38.pth
    python tools/gallery.py search GALLERY --image query.jpg --where 'camera == 3' --top 20
    python tools/gallery.py search GALLERY --text 'a woman in a red coat with a backpack' --out result.json
    python tools/gallery.py calibrate GALLERY LABELLED_IMAGES
    python tools/gallery.py info|verify|remove|reencode GALLERY

What each does, and what it stores where: docs/gallery.md.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmdg_plugin.gallery import AddReport, Gallery

_SHOWN = 20
WRONG_ARGUMENTS, SOME_UNREADABLE = 2, 3


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Search images of people by picture and by sentence.',
        epilog='exit codes: 0 done; 1 an error, or faults found; 2 wrong arguments; 3 some images are unreadable.',
    )
    commands = parser.add_subparsers(dest='command', required=True)
    add = _command(commands, 'add', _add, 'add images; makes the gallery if there is none')
    add.add_argument('images', nargs='*', metavar='IMAGES', help='folders, images, index or caption files')
    add.add_argument('--index', nargs='+', default=[], help='index or caption files (.csv, .json, .jsonl)')
    add.add_argument('--root', type=Path, help="where an index's paths start (default: its folder)")
    add.add_argument('--engine', help='for a new gallery: embedded (default), or milvus')
    add.add_argument('--uri', help='address of the Milvus server, for a new gallery')
    add.add_argument(
        '--memory',
        type=_gibibytes,
        metavar='GIB',
        help='for a new embedded gallery: keep so much of its vectors in memory (default: 2); a search reads the rest',
    )
    add.add_argument(
        '--approximate',
        type=int,
        metavar='LISTS',
        help='for a new gallery in Milvus beyond a million images: look at so many of 1,024 lists of vectors a search '
        '(default: compare all vectors); info says how much that finds',
    )
    _add_encoding(add)
    remove = _command(commands, 'remove', _remove, 'remove images; they are gone from the disk when it ends')
    remove.add_argument('--where', help='a condition on columns')
    remove.add_argument('--paths', nargs='+', help='paths of images')
    verify = _command(commands, 'verify', _verify, 'check what is stored')
    verify.add_argument('--files', action='store_true', help='look for images that are gone or have changed, too')
    _command(commands, 'info', _info, 'say what the gallery is')
    reencode = _command(commands, 'reencode', _reencode, 'encode all images anew with another model')
    reencode.add_argument('--drop-unreadable', action='store_true', help='let go of images that cannot be read now')
    _add_encoding(reencode, required=True)
    calibrate = _command(commands, 'calibrate', _calibrate, 'learn from labelled images when nobody matches')
    calibrate.add_argument('images', nargs='+', metavar='IMAGES', help='folders or index files with identities')
    calibrate.add_argument('--root', type=Path, help="where an index's paths start (default: its folder)")
    calibrate.add_argument('--false-positives', type=float, default=0.01, help='rate for match (default: 0.01)')
    calibrate.add_argument('--unsure', type=float, default=0.1, help='rate for unsure (default: 0.1)')
    calibrate.add_argument(
        '--strangers',
        action='store_true',
        help='none of these people is in the gallery; without it, equal identities are equal people',
    )
    _add_model(calibrate)
    _add_search(_command(commands, 'search', _search, 'find the entries most similar to pictures, a sentence, or both'))
    return parser.parse_args(arguments)


def _command(commands: Any, name: str, do: Callable[..., int], what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=what, description=f'{what[0].upper()}{what[1:]}.')
    parser.add_argument('gallery', type=Path, metavar='GALLERY', help='folder of the gallery')
    parser.add_argument('--debug', action='store_true', help='show where in the code an error arose')
    parser.set_defaults(do=do)
    return parser


def _gibibytes(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number < 2**20:
        raise argparse.ArgumentTypeError(f'expected a number of GiB from 0, got {text}.')
    return int(number * 2**30)


def _add_model(parser: argparse.ArgumentParser, required: bool = False) -> None:
    parser.add_argument(
        '--model', required=required, metavar='CHECKPOINT', help='needed for a new gallery, or where it was moved'
    )
    parser.add_argument('--device', help='such as cuda or cpu (default: a GPU if there is one)')


def _add_encoding(parser: argparse.ArgumentParser, required: bool = False) -> None:
    _add_model(parser, required)
    parser.add_argument('--batch-size', type=int, default=64, help='images encoded at a time (default: 64)')
    parser.add_argument('--workers', type=int, default=0, help='processes that read images (default: none)')


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--image', nargs='+', metavar='FILE', help='pictures of one person')
    parser.add_argument('--text', help='a sentence')
    parser.add_argument('--text-weight', type=float, default=0.5, help='of the sentence beside images (default: 0.5)')
    parser.add_argument('--where', help='a condition on columns, such as \'camera == 3 and time >= "2026-05-01"\'')
    parser.add_argument('--top', type=int, default=20, help='how many to find (default: 20)')
    parser.add_argument('--out', type=Path, help='file for the result: .json or .csv')
    parser.add_argument('--report', type=Path, help='folder for a page (HTML) of the result')
    parser.add_argument('--show-dir', type=Path, help='folder for a picture of the query and what it found')
    _add_model(parser)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit code."""
    args = parse_args(arguments)
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.gallery import Gallery

    with OneLineErrors(sys.argv[0], args.debug):
        if args.command == 'add':
            return _add(args)
        model, device = (getattr(args, name, None) for name in ('model', 'device'))
        with Gallery.open(args.gallery, None if args.command == 'reencode' else model, device) as gallery:
            return args.do(gallery, args)


def _add(args: argparse.Namespace) -> int:
    from cmdg_plugin.gallery import Gallery, is_gallery
    from cmdg_plugin.gallery.manifest import read_manifest

    sources = [*args.images, *args.index]
    if not sources:
        return _refuse('Say what to add: a folder, images, or --index FILE.')
    given = {name: getattr(args, name) for name in ('uri', 'memory', 'approximate')}
    options = {name: value for name, value in given.items() if value is not None}
    if is_gallery(args.gallery):
        there = read_manifest(args.gallery.expanduser())
        # The same command goes on after an interruption.
        if args.engine not in (None, there.engine) or not options.items() <= there.options.items():
            return _refuse('--engine, --uri, --memory and --approximate are for a new gallery; this has others.')
        gallery = Gallery.open(args.gallery, args.model, args.device)
    elif args.model is None:
        return _refuse(f'There is no gallery at {args.gallery} yet: give --model CHECKPOINT to make it.')
    else:
        gallery = Gallery.create(args.gallery, args.model, args.engine or 'embedded', args.device, **options)
    with gallery:
        report = gallery.add(sources, root=args.root, batch_size=args.batch_size, num_workers=args.workers)
    return _say_report(report)


def _say_report(report: 'AddReport') -> int:
    counts = (f'{getattr(report, name):,} {name}' for name in ('added', 'replaced', 'unchanged'))
    _say(f'{", ".join(counts)}, {len(report.unreadable):,} unreadable')
    for _, reason in report.unreadable[:_SHOWN]:
        _say(f'  {reason}')
    if len(report.unreadable) > _SHOWN:
        _say(f'  ... and {len(report.unreadable) - _SHOWN:,} more')
    return SOME_UNREADABLE if report.unreadable else 0


def _remove(gallery: 'Gallery', args: argparse.Namespace) -> int:
    _say(f'{gallery.remove(args.where, args.paths):,} removed, {gallery.info().entries:,} left')
    return 0


def _verify(gallery: 'Gallery', args: argparse.Namespace) -> int:
    faults = gallery.verify(files=args.files)
    for fault in faults:
        _say(fault)
    _say(f'{gallery.info().entries:,} entries, {len(faults):,} faults')
    return 1 if faults else 0


def _info(gallery: 'Gallery', args: argparse.Namespace) -> int:
    info = gallery.info()
    _say(f'entries     {info.entries:,}')
    _say(f'model       {info.model} (hash {info.hash[:8]})')
    _say(f'engine      {info.engine}, {info.size / 2**20:,.1f} MiB on this disk, {info.dimension} numbers an image')
    recall = gallery.recall()
    if recall is not None:
        _say(f'search      approximate: it finds {recall:.1%} of the 20 nearest, on 50 of its images as queries')
    _say(f'columns     {", ".join(f"{name} ({kind.__name__})" for name, kind in gallery.columns.items())}')
    if not info.calibrated:
        _say('calibrated  no: results have no verdict')
    for kind, threshold in info.thresholds.items():
        _say(
            f'calibrated  {kind}: match from {threshold["match"]:.4f}, unsure from {threshold["unsure"]:.4f}, learned '
            f'at {threshold["entries"]:,} entries'
        )
    return 0


def _reencode(gallery: 'Gallery', args: argparse.Namespace) -> int:
    report = gallery.reencode(
        args.model, drop_unreadable=args.drop_unreadable, batch_size=args.batch_size, num_workers=args.workers
    )
    return _say_report(report)


def _calibrate(gallery: 'Gallery', args: argparse.Namespace) -> int:
    learned = gallery.calibrate(
        args.images,
        root=args.root,
        false_positive_rate=args.false_positives,
        unsure_rate=args.unsure,
        strangers=args.strangers,
    )
    for kind, threshold in learned.items():
        found = (
            f', {threshold.found:.1%} of {threshold.present:,} people who are there are found'
            if threshold.present
            else ''
        )
        _say(
            f'{kind}: match from {threshold.match:.4f} ({threshold.match_rate:.1%} false positives), unsure from '
            f'{threshold.unsure:.4f} ({threshold.unsure_rate:.1%}), from {threshold.absent:,} queries{found}'
        )
    return 0


def _search(gallery: 'Gallery', args: argparse.Namespace) -> int:
    from cmdg_plugin.gallery.output import check_suffix, draw_result, format_table, write_result

    if args.out is not None:
        check_suffix(args.out)
    query = {name: getattr(args, name) for name in ('image', 'text', 'where', 'text_weight')}
    result = gallery.search(**query, top=args.top)
    for line in format_table(result).splitlines():
        _say(line)
    if args.out is not None:
        write_result(result, args.out, query)
    if args.report is not None:
        from cmdg_plugin.gallery.report import write_report

        page = write_report(result, gallery, args.report, **query)
        _say(f'report: {page}')
    if args.show_dir is not None:
        for file in draw_result(result, args.show_dir, args.image or [], args.text, args.gallery.resolve().name):
            _say(f'picture: {file}')
    return 0


def _refuse(line: str) -> int:
    sys.stderr.write(f'{Path(sys.argv[0]).name}: {line}\n')
    return WRONG_ARGUMENTS


def _say(line: str) -> None:
    from cmdg_plugin.saying import printable

    sys.stdout.write(f'{printable(line)}\n')  # names of files may hold anything


if __name__ == '__main__':
    sys.exit(main())
