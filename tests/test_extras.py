import json
import sys

import pytest

from cmdg_plugin.extras import import_extra


def test_what_is_there_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert import_extra('json', 'export') is json
    monkeypatch.setitem(sys.modules, 'onnx', None)
    for module, name in (('onnx', 'onnx'), ('no_such_package.inner', 'no_such_package')):
        message = rf'^{name} is needed here and missing \(.*\): pip install "cmdg_plugin\[export\]"\.$'
        with pytest.raises(ImportError, match=message):
            import_extra(module, 'export')
