import sys

import pytest

from cmdg_plugin.extras import import_extra


def test_what_is_there_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert import_extra('json', 'export').loads('1') == 1
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(ImportError, match=r'onnx is needed here .*: pip install "cmdg_plugin\[export\]"\.$'):
        import_extra('onnx', 'export')
