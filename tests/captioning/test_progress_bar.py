import pytest

from cmdg_plugin.captioning.progress_bar import caption_bar


def test_rate_remaining_time_and_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    with caption_bar(90, 10) as advance:
        for number in range(10):
            advance(number == 3, 2 if number == 5 else 0)
    shown = capsys.readouterr().err
    assert ' 90/100 ' in shown
    last = shown.split('\r')[-1]
    assert ' 100/100 ' in last
    assert 'sentence/s' in last
    assert 'failed=1' in last
    assert 'asked again=2' in last
