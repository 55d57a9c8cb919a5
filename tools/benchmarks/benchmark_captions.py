"""Time and memory of reading a large caption file, and of measuring its sentences in CLIP tokens.

    python tools/benchmarks/benchmark_captions.py [--records 100000] [--file captions.json]

Without `--file`, a file like MSMT17's is made up: four sentences an image, no two of them alike.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from measuring import report, resident

from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets import load_captions
from cmdg_plugin.datasets.checking import check_captions
from cmdg_plugin.datasets.sources import SourceIndex, SourceRecord, SourceSplit

_COLORS = ('red', 'dark blue', 'black', 'white', 'olive green', 'gray', 'light-colored', 'patterned')
_THINGS = ('jacket', 'hooded sweater', 'backpack', 'shoulder bag', 'pair of jeans', 'dress', 'pair of sneakers', 'hat')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time reading a large caption file.')
    parser.add_argument('--records', type=int, default=100_000)
    parser.add_argument('--file', type=Path, help='a caption file of your own')
    return parser.parse_args()


def write_captions(path: Path, count: int) -> None:
    """Make up a caption file: sentences of the released ones' length, each with a number of its own."""
    draw = random.Random(0)

    def sentence(place: str, number: int) -> str:
        clothes = ', '.join(f'a {draw.choice(_COLORS)} {draw.choice(_THINGS)}' for _ in range(3))
        return f'The {place} of image {number} shows a person who walks and is wearing {clothes}.'

    with path.open('w', encoding='utf-8') as file:
        for number in range(count):
            person = f'{number % 1041:04d}'
            name = f'train/{person}/{person}_{number % 1000:03d}_{number % 15 + 1:02d}_0303morning_{number:06d}_0.jpg'
            places = ('whole', 'upper third', 'middle third', 'lower third')
            captions = [sentence(place, number) for place in places]
            record = {'id': number % 1041, 'split': 'train', 'file_path': name, 'captions': captions}
            file.write(f'{"," if number else "["}\n{json.dumps(record, indent=1)}')
        file.write(']\n')


def main() -> None:
    """Read, read again, measure lengths."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / 'captions.json'
        if arguments.file is None:
            write_captions(path, arguments.records)
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
        before, start, cpu = resident('VmRSS'), time.perf_counter(), time.process_time()
        records = load_captions(path)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        report(f'{len(records):,} records, {path.stat().st_size / 1e6:.0f} MB of JSON')
        report(f'load_captions: {seconds:.1f} s (processor time {cpu:.1f} s)')
        most, kept = ((resident(field) - before) / 1e6 for field in ('VmHWM', 'VmRSS'))
        report(f'memory: {most:.0f} MB at most, {kept:.0f} MB kept')
        start = time.perf_counter()
        load_captions(path)
        report(f'again in the same process: {1e3 * (time.perf_counter() - start):.1f} ms')
    images = tuple(SourceRecord(item.file_path, 0, captions=item.captions) for item in records)
    length, start, cpu = ClipLength(), time.perf_counter(), time.process_time()
    found = check_captions(SourceIndex('captions', '.', (SourceSplit(train=images),)), length)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    report(f'CLIP lengths of {4 * found.covered:,} sentences: {seconds:.1f} s (processor time {cpu:.1f} s)')
    report(f'longest {found.longest} tokens, {found.cut:,} sentences cut')


if __name__ == '__main__':
    main()
