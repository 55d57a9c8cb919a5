"""Write a trained model as a file that runs without this package: ONNX, OpenVINO or torch's exported program.

    python tools/export.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth work_dirs/toy.onnx

One input, RGB images (N, 3, H, W), one output, features of length one: docs/export.md.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmdg_plugin.exporting import ExportReport


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Write a trained model as a file that runs without this package.')
    parser.add_argument('checkpoint', type=Path, help='checkpoint that carries its config')
    parser.add_argument('out', type=Path, help='file to write: .onnx, .xml (OpenVINO) or .pt2 (torch)')
    parser.add_argument(
        '--format', choices=['onnx', 'openvino', 'torch-export'], help='default: what the ending of OUT says'
    )
    parser.add_argument('--image-size', metavar='HxW', help="pixels, height x width; default: the checkpoint's")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument('--fp16', action='store_true', help='store weights in half precision')
    precision.add_argument('--int8', action='store_true', help='compute products with 8 bits; needs --calibration')
    parser.add_argument('--calibration', type=Path, metavar='FOLDER', help='images like those to come, for --int8')
    parser.add_argument('--text', type=Path, metavar='OUT_TEXT.onnx', help='write the text tower, too')
    parser.add_argument(
        '--input',
        choices=['0..1', '0..255', 'imagenet'],
        default='0..1',
        help='what pixels will be when they come in (default: %(default)s)',
    )
    parser.add_argument('--opset', type=int, default=18, help="version of ONNX's operators (default: %(default)s)")
    parser.add_argument('--debug', action='store_true', help='show where in the code an error arose')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Check what was asked for, and write it."""
    args = parse_args(arguments)
    from cmdg_plugin.cli.input_checks import check_checkpoint
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.exporting import check_request, check_text_request, export_images, export_texts
    from cmdg_plugin.image_size import parse_size
    from cmdg_plugin.saying import say

    with OneLineErrors(sys.argv[0], args.debug):
        check_checkpoint(args.checkpoint)
        precision = 'fp16' if args.fp16 else 'int8' if args.int8 else 'fp32'
        check_request(args.out, args.format, args.opset, precision, args.calibration)
        if args.text is not None:
            check_text_request(args.text, args.out, args.opset)
        size = None if args.image_size is None else parse_size(args.image_size)
        report = export_images(
            args.checkpoint,
            args.out,
            image_size=size,
            precision=precision,
            calibration=args.calibration,
            expects=args.input,
            opset=args.opset,
        )
        say(_line(args.out, report))
        if args.text is not None:
            say(_line(args.text, export_texts(args.checkpoint, args.text, opset=args.opset)))


def _line(path: Path, report: 'ExportReport') -> str:
    size = path.stat().st_size + (path.with_suffix('.bin').stat().st_size if path.suffix == '.xml' else 0)
    return (
        f"{path}: {size / 2**20:,.1f} MiB; features differ from PyTorch's by at most {report.difference:.1e}, "
        f'similarity at least {report.similarity:.5f}'
    )


if __name__ == '__main__':
    main()
