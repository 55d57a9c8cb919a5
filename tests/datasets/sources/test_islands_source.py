import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from cmdg_plugin.registry import SOURCES


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, market_like: Callable[..., dict[str, str]]) -> list:
    """Islands with two domains; the real ones take a while to draw and have tests of their own."""
    calls = []

    def build_islands(root: Path, *, seed: int = 0, size: str = 'small') -> Path:
        calls.append((root, seed, size))
        return root

    module = types.ModuleType('cmdg_plugin.islands')
    found = types.SimpleNamespace(domains=('shop', 'yard'))
    vars(module).update(build_islands=build_islands, find_size=lambda size: found)
    monkeypatch.setitem(sys.modules, 'cmdg_plugin.islands', module)
    market_like('shop', [3, 4])
    return calls


def test_made_on_first_use_then_read(stand_in: list, tmp_path: Path) -> None:
    source = SOURCES.build(
        {'type': 'IslandsSource', 'domain': 'shop', 'root': str(tmp_path), 'seed': 4, 'size': 'large'}
    )
    assert source.name == 'shop'
    assert stand_in == []
    index = source.load()
    assert stand_in == [(tmp_path, 4, 'large')]
    assert (index.name, index.root) == ('shop', str(tmp_path / 'shop'))
    assert len(index.split().train) == 4
    assert json.loads((tmp_path / 'shop.json').read_text())[0]['captions'][0] == index.split().train[0].captions[0]


def test_unknown_domain(stand_in: list, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no domain 'moon'; expected one of shop, yard"):
        SOURCES.build({'type': 'IslandsSource', 'domain': 'moon', 'root': str(tmp_path)}).load()
