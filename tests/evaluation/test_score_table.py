import pytest

from cmdg_plugin.evaluation import format_score_table

METRICS = {
    'dusk/mAP': 12.34,
    'dusk/R1': 20.06,
    'dusk/R5': 30.0,
    'dusk/R10': 100.0,
    'hall/mAP': 50.25,
    'hall/mAP_std': 1.26,
    'hall/R1': 60.0,
    'average/mAP': 31.3,
    'average/R1': 40.03,
    'average/R5': 30.0,
    'average/R10': 100.0,
    'time': 3.0,
}


def test_plain_table() -> None:
    assert format_score_table(METRICS).splitlines() == [
        'target          mAP    R1    R5    R10',
        '--------------------------------------',
        'dusk           12.3  20.1  30.0  100.0',
        'hall     50.2 ± 1.3  60.0     -      -',
        'average        31.3  40.0  30.0  100.0',
    ]


def test_markdown_table() -> None:
    lines = format_score_table(METRICS, style='markdown').splitlines()
    assert lines[:3] == [
        '| target | mAP | R1 | R5 | R10 |',
        '| :--- | ---: | ---: | ---: | ---: |',
        '| dusk | 12.3 | 20.1 | 30.0 | 100.0 |',
    ]
    assert len(lines) == 5


def test_a_column_for_each_score_that_there_is() -> None:
    lines = format_score_table(METRICS | {'hall/mINP': 7.04}).splitlines()
    assert lines[0].split() == ['target', 'mAP', 'R1', 'R5', 'R10', 'mINP']
    assert [line.split()[-1] for line in lines[2:]] == ['-', '7.0', '-']
    assert format_score_table({'a/mAP': 1.0}, before={}, style='markdown').splitlines() == [
        '| target | mAP before | mAP after | mAP gain |',
        '| :--- | ---: | ---: | ---: |',
        '| a | - | 1.0 | - |',
    ]


def test_what_must_be_said_of_a_target() -> None:
    marks = {'hall': 'shares images with dawn.', 'elsewhere': 'is not here.'}
    table, note = format_score_table(METRICS, marks=marks).split('\n\n')
    assert [line.split('  ')[0] for line in table.splitlines()[2:]] == ['dusk', 'hall *', 'average *']
    assert note == '* hall: shares images with dawn.'
    lines = format_score_table(METRICS, marks=marks, style='markdown', before=METRICS).splitlines()
    assert lines[3].startswith('| hall * | 50.2 ')
    # An escaped star: Markdown would begin a list with a plain one.
    assert lines[-2:] == ['', r'\* hall: shares images with dawn.']
    assert format_score_table(METRICS, marks={}) == format_score_table(METRICS)


def test_before_and_after() -> None:
    before = {key: value / 2 for key, value in METRICS.items() if key != 'dusk/R5'}
    markdown = format_score_table(METRICS, before=before, style='markdown').splitlines()
    assert markdown[0].startswith('| target | mAP before | mAP after | mAP gain | R1 before |')
    assert markdown[2] == '| dusk | 6.2 | 12.3 | +6.2 | 10.0 | 20.1 | +10.0 | - | 30.0 | - | 50.0 | 100.0 | +50.0 |'
    plain = format_score_table(before, before=METRICS).splitlines()
    assert plain[0].split() == ['mAP', 'R1', 'R5', 'R10']
    assert plain[1].split() == ['target', *['before', 'after', 'gain'] * 4]
    assert plain[3].split()[:4] == ['dusk', '12.3', '6.2', '-6.2']
    assert len({len(line) for line in plain}) <= 2  # columns line up; only the first line is shorter


def test_released_splits_follow_in_rows_of_their_own() -> None:
    released = {'hall/mAP_released': 55.55, 'hall/R1_released': 61.0, 'average/mAP_released': 34.0}
    lines = format_score_table(METRICS | released).splitlines()
    assert lines[5:] == [
        'hall, released split           55.5  61.0     -      -',
        'average, released split        34.0     -     -      -',
    ]
    compared = format_score_table(METRICS | released, before=METRICS | {'hall/mAP_released': 50.0}, style='markdown')
    assert compared.splitlines()[5].startswith('| hall, released split | 50.0 | 55.5 | +5.5 | - | 61.0 | - |')


def test_reranked_scores_follow_in_rows_of_their_own() -> None:
    scores = {'hall/mAP_rerank': 55.55, 'hall/mAP_rerank_std': 1.0, 'hall/mAP_released_rerank': 60.0}
    lines = format_score_table(METRICS | scores).splitlines()
    assert [line.split('  ')[0] for line in lines[5:]] == ['hall, re-ranked', 'hall, released split, re-ranked']
    assert '55.5 ± 1.0' in lines[5]


def test_open_set_scores_have_columns_where_there_are_some() -> None:
    lines = format_score_table(METRICS | {'hall/TPIR10': 12.34}, style='markdown').splitlines()
    assert lines[0].endswith('| TPIR10 |')
    (hall,) = (line for line in lines if line.startswith('| hall '))
    assert hall.endswith('| 12.3 |')
    assert 'TPIR' not in format_score_table(METRICS)


def test_the_average_comes_last_whatever_the_order() -> None:
    metrics = {'average/mAP': 1.0, 'a/mAP': 1.0, 'b/mAP': 1.0}
    assert [line.split()[0] for line in format_score_table(metrics).splitlines()[2:]] == ['a', 'b', 'average']


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"No key of the form <target>/mAP among the metrics: \['loss'\]"):
        format_score_table({'loss': 1.0})
    with pytest.raises(ValueError, match=r"style must be one of .* got 'html'"):
        format_score_table(METRICS, style='html')
