import sys

import pytest
import torchreid.reid.data.datasets

from cmdg_plugin.torchreid_import import import_torchreid


def test_package_of_pypi() -> None:
    assert import_torchreid('data.datasets') is torchreid.reid.data.datasets


def test_a_checkout_of_torchreid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its repository calls `torchreid.data` what the package on PyPI calls `torchreid.reid.data`."""
    monkeypatch.setitem(sys.modules, 'torchreid.reid.data.datasets', None)
    real = torchreid.reid.data.datasets
    for name in ('torchreid.data', 'torchreid.data.datasets'):
        monkeypatch.setitem(sys.modules, name, real)
    assert import_torchreid('data.datasets') is real


def test_no_torchreid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('torchreid', 'torchreid.reid.data.datasets', 'torchreid.data.datasets'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'^torchreid is not installed; `pip install .*`\.$'):
        import_torchreid('data.datasets')


@pytest.mark.parametrize(('module', 'package'), [('gdown', 'gdown'), ('cv2', 'opencv-python')])
def test_what_torchreid_lacks_is_named(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    for name in [name for name in sys.modules if name.split('.')[0] == 'torchreid']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f'it wants {module}; `pip install {package}`'):
        import_torchreid('data.datasets')
