"""What Linux grants a process, less than the machine has where it runs in a container or as a job of a cluster."""

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path('/sys/fs/cgroup')
_PROCESS = Path('/proc/self/cgroup')
_MEMORY = Path('/proc/meminfo')


def free_memory(memory: Path = _MEMORY, groups: Path = _GROUPS, process: Path = _PROCESS) -> int | None:
    """Bytes that this process may still take, what caches of files hold among them; None where nothing says so.

    It is the least of what the machine can give away and of what the control groups of the process (versions 1 and 2)
    and all groups above them leave.

    Args:
        memory: Linux's account of the machine's memory.
        groups: Where control groups are mounted.
        process: Which of them the process is in.
    """
    left = []
    with suppress(OSError):
        left.append(1024 * int(memory.read_text(encoding='ascii').split('MemAvailable:')[1].split()[0]))
    for folder in _own_groups('memory', groups, process):
        # Version 2, then version 1, which counts what groups below a group cache under other names.
        for limit, used, prefix in (
            ('memory.max', 'memory.current', ''),
            ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_'),
        ):
            with suppress(OSError, ValueError):  # Another version, or no limit.
                granted, taken = (int((folder / name).read_text(encoding='ascii')) for name in (limit, used))
                lines = (folder / 'memory.stat').read_text(encoding='ascii').splitlines()
                counts = dict(line.split() for line in lines)
                cached = sum(int(counts.get(f'{prefix}{kind}_file', 0)) for kind in ('active', 'inactive'))
                left.append(max(0, granted - taken + cached))
    return min(left, default=None)


def granted_cores(groups: Path = _GROUPS, process: Path = _PROCESS) -> float:
    """Cores' worth of processor time that the control groups of this process grant it; infinity without a limit."""
    granted = math.inf
    for folder in _own_groups('cpu', groups, process):
        with suppress(OSError, ValueError):
            quota, period = (folder / 'cpu.max').read_text(encoding='ascii').split()
            granted = min(granted, int(quota) / int(period))
        with suppress(OSError, ValueError):
            quota, period = (
                (folder / f'cpu.cfs_{name}_us').read_text(encoding='ascii') for name in ('quota', 'period')
            )
            if int(quota) > 0:
                granted = min(granted, int(quota) / int(period))
    return granted


def _own_groups(controller: str, groups: Path, process: Path) -> Iterator[Path]:
    """Folders of the groups of this process, each with those above it.

    A container often sees its own group as the uppermost one, and the path to it from outside, which leads nowhere.
    """
    found = {groups, groups / controller}
    with suppress(OSError):
        for line in process.read_text(encoding='utf-8').splitlines():
            _, controllers, path = line.split(':', 2)
            if not controllers or controller in controllers.split(','):
                top = groups / controller if controllers else groups
                own = top / path.lstrip('/')
                found |= {own, *(above for above in own.parents if above.is_relative_to(top))}
    yield from sorted(found)
