import pytest

from cmdg_plugin import progress


def test_items_pass_and_the_bar_says_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(iter('abc'), 'letters', total=3, unit='letter')) == ['a', 'b', 'c']
    said = capsys.readouterr().err
    assert 'letters: 100%' in said
    assert '3/3' in said


def test_other_processes_are_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, 'is_main_process', lambda: False)
    assert list(progress.track([1, 2], 'numbers')) == [1, 2]
    assert capsys.readouterr().err == ''
    assert list(progress.track([1, 2], 'numbers', on_every_rank=True)) == [1, 2]
    assert 'numbers: 100%' in capsys.readouterr().err
