import os
from pathlib import Path

import pytest
from mmengine.fileio import load

from cmdg_plugin.evaluation.whole_results import WholeResults


def test_predictions_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / 'out.pkl'
    assert WholeResults(str(path)).compute_metrics([{'feature': [1.0, 2.0]}]) == {}
    assert load(path) == [{'feature': [1.0, 2.0]}]
    with pytest.raises(Exception, match='pickle'):
        WholeResults(str(path)).compute_metrics([lambda: None])
    assert load(path) == [{'feature': [1.0, 2.0]}]
    assert os.listdir(tmp_path) == ['out.pkl']
