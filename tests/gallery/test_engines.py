"""Settings of the engines; what each must do: test_stores.py."""

import pytest

from cmdg_plugin.gallery.engines import complete_options


def test_settings_are_completed() -> None:
    assert complete_options('embedded', {}) == {'memory': 2**31}
    assert complete_options('embedded', {'memory': 5}) == {'memory': 5}
    assert (
        complete_options('milvus', {'uri': 'u', 'collection': 'c'}).items() >= {'uri': 'u', 'collection': 'c'}.items()
    )


def test_true_is_not_a_number() -> None:
    with pytest.raises(ValueError, match=r'memory of the engine embedded is like 2147483648, got True\.'):
        complete_options('embedded', {'memory': True})
