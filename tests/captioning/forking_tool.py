"""Runs the caption tool in forked children, one for each line of arguments (JSON) that comes in.

Importing takes seconds; a child that is killed at a random moment should be killed at work.
"""

import gc
import importlib.util
import json
import os
import sys
from pathlib import Path

import open_clip.tokenizer
import openai

import cmdg_plugin.captioning

LOADED = (open_clip.tokenizer, openai, cmdg_plugin.captioning)


def main() -> None:
    path = Path(__file__).parents[2] / 'tools' / 'generate_captions.py'
    spec = importlib.util.spec_from_file_location('generate_captions', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    # Collecting garbage would copy every page into every child.
    gc.collect()
    gc.freeze()
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(tool.main(json.loads(line)))
        sys.stdout.write(f'{child}\n')
        sys.stdout.flush()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f'{status}\n')
        sys.stdout.flush()


if __name__ == '__main__':
    main()
