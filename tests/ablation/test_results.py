from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.ablation.results import read_scores


def test_scores_of_a_finished_run(tmp_path: Path) -> None:
    file = tmp_path / 'results.json'
    assert read_scores(file) is None
    file.write_text('{"before": null, "after": {"average/R1": 12.5, "average/mAP": 3}}')
    assert read_scores(file) == {'average/R1': 12.5, 'average/mAP': 3.0}


@pytest.mark.parametrize(
    'content', ['', '{"before": nul', '[]', '{}', '{"after": null}', '{"after": {"R1": "x"}}', '\udcff']
)
def test_what_is_not_whole_counts_as_not_finished(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / 'results.json'
    file.write_bytes(content.encode('utf-8', 'surrogateescape'))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    assert read_scores(file) is None
    logger.removeHandler(caplog.handler)
    assert f'{file} holds no scores' in caplog.text
