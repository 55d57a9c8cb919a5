import asyncio
import os
import signal
from signal import Signals

import pytest

from cmdg_plugin.captioning.interruption import run_until_stopped


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_and_lets_the_work_clean_up(number: Signals) -> None:
    before = signal.getsignal(number)
    steps = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            steps.append('cleaned up')

    with pytest.raises(KeyboardInterrupt, match=number.name):
        run_until_stopped(work())
    assert steps == ['cleaned up']
    assert signal.getsignal(number) in (before, signal.default_int_handler, signal.SIG_DFL)


def test_runs_to_the_end() -> None:
    steps = []

    async def work() -> None:
        steps.append('done')

    run_until_stopped(work())
    assert steps == ['done']
