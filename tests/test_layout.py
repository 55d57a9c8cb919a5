"""Tests mirror the code: `a/b.py` of the package has `tests/a/test_b.py`, a tool `b.py` has `tests/tools/test_b.py`."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TOOLS = REPOSITORY / 'tools'

# Modules whose test stands elsewhere, each with the test and the reason.
ELSEWHERE = {
    'gallery/filter_languages.py': ('gallery/test_filters.py', 'every language of a condition, side by side'),
    'gallery/sqlite_store.py': ('gallery/test_stores.py', 'all engines do the same'),
    'gallery/store.py': ('gallery/test_stores.py', 'the protocol that all engines follow'),
}
# Modules without a test, each with the reason.
UNTESTED = {
    'gallery/results.py': 'data alone',
    'tools/benchmarks': 'measurements, which nothing else uses; run by hand for docs/benchmarks.md',
}


def modules() -> list[tuple[str, Path]]:
    """Name and path of every module, as the tables above call it."""
    package = REPOSITORY / 'cmdg_plugin'
    own = [
        (path.relative_to(package).as_posix(), path)
        for path in package.rglob('*.py')
        if '.mim' not in path.relative_to(package).parts
    ]
    tools = [(path.relative_to(REPOSITORY).as_posix(), path) for path in TOOLS.rglob('*.py')]
    return sorted(own + tools)


def mirror(name: str) -> Path:
    folder, _, file = name.rpartition('/')
    return REPOSITORY / 'tests' / folder / f'test_{file}'


def test_every_module_has_its_test() -> None:
    excepted = {*ELSEWHERE, *UNTESTED}
    missing = [
        name
        for name, path in modules()
        if path.name != '__init__.py'
        and not mirror(name).is_file()
        and excepted.isdisjoint((name, name.rpartition('/')[0]))
    ]
    assert missing == [], f'write {", ".join(str(mirror(name).relative_to(REPOSITORY)) for name in missing)}'


def test_exceptions_are_still_some() -> None:
    """An exception goes with its module, or when the module gets its test."""
    names = {name for name, _ in modules()}
    folders = {name.rpartition('/')[0] for name in names}
    assert [name for name in (*ELSEWHERE, *UNTESTED) if name not in names | folders or mirror(name).is_file()] == []
    assert [test for test, _ in ELSEWHERE.values() if not (REPOSITORY / 'tests' / test).is_file()] == []
