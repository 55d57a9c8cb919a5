"""Draw a short clip of people who walk past each other, for trackers; it is known who is who.

    python tools/draw_clip.py data/clips/metro-0 --domain metro --seed 0

Frames, ground truth and detections in MOTChallenge's layout (docs/trackers.md).
"""

import argparse
import sys
from pathlib import Path

from cmdg_plugin.saying import say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Draw a clip of people who walk past each other, for trackers.')
    parser.add_argument('out', type=Path, help='folder for the clip')
    parser.add_argument(
        '--domain', required=True, help='domain of Islands, such as metro; nothing is trained on metro and alpine'
    )
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other people and walks (default: 0)')
    parser.add_argument('--camera', type=int, default=1, help='camera of the domain (default: 1)')
    parser.add_argument('--people', type=int, default=8, help='how many walk (default: 8)')
    parser.add_argument('--frames', type=int, default=200, help='how long, at 25 a second (default: 200)')
    return parser.parse_args()


def main() -> None:
    """Draw the clip and say where it is."""
    args = parse_args()
    from cmdg_plugin.cli.one_line_errors import OneLineErrors
    from cmdg_plugin.islands import write_clip

    with OneLineErrors(sys.argv[0]):
        write_clip(args.out, args.domain, args.seed, camera=args.camera, num_people=args.people, num_frames=args.frames)
    say(f'{args.out}: {args.frames} frames in img1/, truth in gt/gt.txt, boxes in det/det.txt')


if __name__ == '__main__':
    main()
