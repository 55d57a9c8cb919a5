import math
from pathlib import Path

import pytest

from cmdg_plugin.control_groups import free_memory, granted_cores


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace('__', '.')).write_text(f'{content}\n')


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, Path]:
    """A machine with 8,000 free bytes (of kilobytes' precision) and no groups yet."""
    (tmp_path / 'meminfo').write_text('MemTotal:       100 kB\nMemFree:   1 kB\nMemAvailable:   8 kB\n')
    return {'memory': tmp_path / 'meminfo', 'groups': tmp_path / 'groups', 'process': tmp_path / 'own'}


def test_without_groups_it_is_what_the_machine_has(machine: dict[str, Path]) -> None:
    assert free_memory(**machine) == 8192
    machine['memory'].unlink()
    assert free_memory(**machine) is None


@pytest.mark.parametrize(('granted', 'free'), [('5000', 5000 - 3000 + 700 + 100), ('2000', 0), ('max', 8192)])
def test_version_2_in_a_container(machine: dict[str, Path], granted: str, free: int) -> None:
    """What files' caches hold can be given away; shared memory, which also counts as a file, cannot."""
    machine['process'].write_text('0::/\n')
    stat = 'anon 900\nfile 1400\nshmem 600\ninactive_file 700\nactive_file 100'
    write(machine['groups'], memory__max=granted, memory__current=3000, memory__stat=stat)
    assert free_memory(**machine) == free


def test_a_group_above_may_leave_less(machine: dict[str, Path]) -> None:
    machine['process'].write_text('0::/jobs/mine\n')
    write(machine['groups'] / 'jobs/mine', memory__max='max', memory__current=100, memory__stat='inactive_file 0')
    write(machine['groups'] / 'jobs', memory__max=4000, memory__current=1000, memory__stat='inactive_file 0')
    write(machine['groups'] / 'others', memory__max=10, memory__current=10, memory__stat='inactive_file 0')
    assert free_memory(**machine) == 3000


@pytest.mark.parametrize('path', ['/jobs/mine', '/a/path/from/outside'])
def test_version_1_also_where_the_path_is_that_from_outside(machine: dict[str, Path], path: str) -> None:
    machine['process'].write_text(f'9:name=systemd:/\n4:cpuset,memory:{path}\n0::/\n')
    folder = machine['groups'] / 'memory' / ('jobs/mine' if path == '/jobs/mine' else '')
    stat = 'inactive_file 1\nactive_file 1\ntotal_inactive_file 300\ntotal_active_file 20'
    write(folder, memory__limit_in_bytes=5000, memory__usage_in_bytes=1000, memory__stat=stat)
    assert free_memory(**machine) == 4320


def test_of_this_machine() -> None:
    free = free_memory()
    assert free is not None
    assert free > 1e8
    assert granted_cores() > 0


@pytest.mark.parametrize(
    ('files', 'cores'),
    [
        ({'cpu__max': '150000 100000'}, 1.5),
        ({'cpu__max': 'max 100000'}, math.inf),
        ({'cpu__max': ''}, math.inf),
        ({'cpu__cfs_quota_us': 50000, 'cpu__cfs_period_us': 100000}, 0.5),
        ({'cpu__cfs_quota_us': -1, 'cpu__cfs_period_us': 100000}, math.inf),
    ],
)
def test_cores_that_a_group_grants(machine: dict[str, Path], files: dict[str, object], cores: float) -> None:
    version_1 = 'cpu__max' not in files
    machine['process'].write_text('2:cpu,cpuacct:/job\n' if version_1 else '0::/job\n')
    write(machine['groups'] / ('cpu/job' if version_1 else 'job'), **files)
    assert granted_cores(machine['groups'], machine['process']) == cores
