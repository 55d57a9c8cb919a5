import builtins
from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.gallery.milvus_store import MilvusStore


def test_without_pymilvus_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any) -> Any:
        if name.startswith('pymilvus'):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.raises(ImportError, match=r"pip install 'cmdg_plugin\[gallery-milvus\]'"):
        MilvusStore(tmp_path / 'c.json', 12, 5, uri='http://127.0.0.1:9', collection='x')


@pytest.mark.slow
def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip('pymilvus')
    with pytest.raises(ConnectionError, match=r'The Milvus server at http://127\.0\.0\.1:9 does not answer'):
        MilvusStore(tmp_path / 'c.json', 12, 5, uri='http://127.0.0.1:9', collection='x')
