"""Ending a long run in order when it is interrupted."""

import asyncio
import signal
from collections.abc import Coroutine


def run_until_stopped(work: Coroutine[None, None, None]) -> None:
    """Run to the end, or to the first Ctrl-C or SIGTERM; a second one ends the process without waiting.

    Raises:
        KeyboardInterrupt: If it was stopped; the work has been cancelled and has cleaned up.
    """
    stopped: list[signal.Signals] = []

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        signals = (signal.SIGINT, signal.SIGTERM)

        def stop(number: signal.Signals) -> None:
            stopped.append(number)
            for each in signals:
                loop.remove_signal_handler(each)
            if task is not None:
                task.cancel()

        for number in signals:
            try:
                loop.add_signal_handler(number, stop, number)
            except (NotImplementedError, RuntimeError, ValueError):
                # Not in the main thread: whoever runs us there handles signals.
                break
        await work

    try:
        asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt(f'stopped by {stopped[0].name}' if stopped else 'cancelled') from None
