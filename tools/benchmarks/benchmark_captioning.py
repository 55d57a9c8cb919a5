"""How fast the caption tool asks, and how much memory it takes, against answers that come at once.

    python tools/benchmarks/benchmark_captioning.py [--images 5000] [--in-flight 64]
    python tools/benchmarks/benchmark_captioning.py --memory 10000 100000 1000000

The first measures the client against a server on loopback, in a process of its own, that answers every request with
the same sentence: requests per second of the whole tool, with images read, answers cleaned and the journal written. The
second shows, without a server, that memory does not grow with the number of images: each run lists all of them, reads a
journal that holds all but the last 25,000, asks for those and writes the caption file.
"""

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from measuring import MEBIBYTE, in_fresh_process, report, resident
from PIL import Image

from cmdg_plugin.captioning import (
    CaptionAnswer,
    CaptionBackend,
    CaptionJob,
    CaptionRequest,
    CaptionSettings,
    ClipLength,
    generate_captions,
    load_prompts,
)
from cmdg_plugin.captioning.backends import OpenAIEndpoint
from cmdg_plugin.captioning.journal import Journal
from cmdg_plugin.captioning.output import journal_path
from cmdg_plugin.regions import CAPTION_FILE_ORDER

SENTENCE = 'A man in a dark jacket and blue jeans carries a red bag over his left shoulder.'
ASKED = 25_000


class InstantBackend(CaptionBackend):
    """Answers without looking."""

    @property
    def max_in_flight(self) -> int:
        """As many as an endpoint has."""
        return 64

    async def answer(self, request: CaptionRequest) -> CaptionAnswer:
        """Say always the same."""
        return CaptionAnswer(SENTENCE)


async def serve(port: Connection) -> None:
    """Answer every request at once with the same completion."""
    message = {'role': 'assistant', 'content': SENTENCE}
    body = json.dumps({'choices': [{'index': 0, 'message': message, 'finish_reason': 'stop'}]}).encode()
    head = f'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n'.encode()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b'\r\n\r\n')
                length = request.lower().partition(b'content-length:')[2].split(b'\r\n')[0]
                await reader.readexactly(int(length or b'0'))
                writer.write(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, '127.0.0.1', 0)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def run_server(port: Connection) -> None:
    """Serve in a process of its own."""
    asyncio.run(serve(port))


def measure_throughput(images: int, in_flight: int) -> None:
    """Caption images through a server that answers at once."""
    receive, send = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context('spawn').Process(target=run_server, args=(send,), daemon=True)
    server.start()
    url = f'http://127.0.0.1:{receive.recv()}/v1'
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / 'images'
        root.mkdir()
        rng = np.random.default_rng(0)
        content = Image.fromarray(rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)).resize((64, 128))
        content.save(root / 'first.jpg')
        for number in range(1, images):
            (root / f'{number:06d}.jpg').hardlink_to(root / 'first.jpg')
        # What is imported on first use is not part of the rate.
        ClipLength()
        before = resident('VmHWM') / MEBIBYTE
        processor = time.process_time()
        seconds = run(root, Path(folder) / 'captions.json', OpenAIEndpoint([url], 'm', in_flight=in_flight))
        processor = time.process_time() - processor
    server.terminate()
    requests = 4 * images
    report(f'{requests} requests, {in_flight} in flight: {seconds:.1f} s, {requests / seconds:.0f} requests/s')
    report(f'{processor:.1f} s of processor time, {requests / processor:.0f} requests per second of it')
    report(f'peak memory {resident("VmHWM") / MEBIBYTE:.0f} MiB, {before:.0f} of them before the run')


def measure_memory(images: int) -> None:
    """Continue a run over an index of many images with instant answers, in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        index, out = Path(folder) / 'index.csv', Path(folder) / 'captions.json'
        write_index(index, images)
        asked = 4 * min(images // 2, ASKED)
        with Journal(journal_path(out), settings().as_dict(), 3600) as journal:
            for number in range(images - asked // 4):
                for region in CAPTION_FILE_ORDER:
                    journal.append({'path': path_of(number), 'region': region, 'caption': SENTENCE})
        before = resident('VmHWM') / MEBIBYTE
        seconds = run(index, out, InstantBackend())
        size = journal_path(out).stat().st_size / MEBIBYTE
    report(
        f'{images} images, of which {asked} sentences were missing: {seconds:.0f} s, peak memory '
        f'{resident("VmHWM") / MEBIBYTE:.0f} MiB, {before:.0f} of them before the run; journal {size:.0f} MiB'
    )


def path_of(number: int) -> str:
    """A made-up path."""
    return f'camera_{number % 7}/{number:08d}.jpg'


def write_index(path: Path, images: int) -> None:
    """An index of made-up images, line by line."""
    with path.open('w') as file:
        file.write('path,identity,camera,split\n')
        for number in range(images):
            file.write(f'{path_of(number)},{number // 8},{number % 7},train\n')


def run(source: Path, out: Path, backend: CaptionBackend) -> float:
    """Caption and return the seconds it took."""
    start = time.perf_counter()
    generate_captions(CaptionJob(source, out), settings(), load_prompts(), lambda: backend)
    return time.perf_counter() - start


def settings() -> CaptionSettings:
    """The same for all measurements."""
    return CaptionSettings('m', load_prompts().version)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description='Measure speed and memory of the caption tool.')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--in-flight', type=int, default=64)
    parser.add_argument('--memory', type=int, nargs='+', metavar='IMAGES', help='measure memory for these numbers')
    args = parser.parse_args()
    if not args.memory:
        measure_throughput(args.images, args.in_flight)
        return
    for images in args.memory:
        # Peak memory is a process's, so each number gets one.
        in_fresh_process(measure_memory, images)


if __name__ == '__main__':
    main()
