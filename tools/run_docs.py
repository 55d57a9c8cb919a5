"""Run the commands of a documentation page, in order; with --write, put what they print under them.

python tools/run_docs.py docs/mim.md --folder EMPTY_FOLDER

Commands are the page's bash blocks. A block may be followed by a line `<!-- shows: REGEX -->` and a text block: the
lines that match are its transcript, without times, colors and this machine's paths; a command that prints none fails.
"""

import argparse
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

BLOCK = re.compile(
    r'```bash\n(?P<commands>.*?)```\n(?:(?P<between>\n<!-- shows: (?P<shown>.*?) -->\n```text\n)(?P<output>.*?)```\n)?',
    re.DOTALL,
)
COLOR = re.compile(r'\x1b\[[\d;]*m')
# The times of MMEngine: before a line, after a name, at the end of scores.
TIMES = re.compile(
    r'^\d\d/\d\d \d\d:\d\d:\d\d - mmengine - INFO - |_\d{8}_\d{6}$|  data_time: [\d.]+  time: [\d.]+$',
    re.MULTILINE,
)


class CommandFailed(Exception):
    """A command of the page ended with an error, or did not print what the page shows."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Run the commands of a documentation page, in order.')
    parser.add_argument('page', type=Path, help='Markdown file')
    parser.add_argument('--folder', type=Path, default=Path(), help='where the commands run; default: here')
    parser.add_argument('--write', action='store_true', help='put what the commands print into the page')
    return parser.parse_args()


def run_page(page: Path, run: Callable[[str], str]) -> str:
    """Run every command of a page; returns the page with what they printed.

    Args:
        page: Markdown file.
        run: Runs the commands of one block and returns what they print.

    Raises:
        CommandFailed: If nothing that a block prints matches its `shows`.
    """

    def run_block(block: re.Match[str]) -> str:
        output = run(block['commands'])
        if block['shown'] is None:
            return block[0]
        lines = [line.rstrip() for line in output.splitlines() if re.search(block['shown'], line)]
        if not lines:
            raise CommandFailed(f'No line that matches {block["shown"]!r} from\n{block["commands"]}\nbut\n{output}')
        return '\n'.join([f'```bash\n{block["commands"]}```', block['between'] + '\n'.join(lines), '```\n'])

    return BLOCK.sub(run_block, page.read_text())


def run_commands(commands: str, folder: Path) -> str:
    """Run the commands of one block in a shell; returns their lines, cleaned of what differs between machines.

    Args:
        commands: Lines of bash; the first that fails ends them.
        folder: Where they run. Programs of the Python that runs this tool come first.

    Raises:
        CommandFailed: If they end with an error.
    """
    print(f'$ {commands.rstrip()}', flush=True)
    programs = sysconfig.get_path('scripts')
    environment = {**os.environ, 'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}'}
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', commands],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = TIMES.sub('', COLOR.sub('', done.stdout))
    for path, name in (
        (sysconfig.get_path('purelib'), 'site-packages'),
        (programs, 'bin'),
        (str(folder.resolve()), '.'),
    ):
        output = output.replace(path, name)
    if done.returncode != 0:
        raise CommandFailed(f'Exit status {done.returncode} from\n{commands}\n{output}')
    return output


def main() -> None:
    """Run the page of the command line."""
    args = parse_args()
    try:
        text = run_page(args.page, lambda commands: run_commands(commands, args.folder))
    except CommandFailed as failure:
        sys.exit(f'{args.page}: {failure}')
    if args.write:
        args.page.write_text(text)


if __name__ == '__main__':
    main()
