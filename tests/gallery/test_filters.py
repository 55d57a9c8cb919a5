import pytest

from cmdg_plugin.gallery.filter_languages import to_milvus, to_sql
from cmdg_plugin.gallery.filters import Comparison, Junction, Membership, Presence, parse_filter

COLUMNS = {'path': str, 'identity': str, 'camera': int, 'time': str, 'caption': str, 'floor': float}


@pytest.mark.parametrize(
    ('text', 'tree'),
    [
        ('camera == 3', Comparison('camera', '==', 3)),
        ('3 < camera', Comparison('camera', '>', 3)),
        ('not camera < 3', Comparison('camera', '>=', 3)),
        ('floor >= -1.5', Comparison('floor', '>=', -1.5)),
        ('identity in ("3", "7")', Membership('identity', ('3', '7'), False)),
        ('not identity in ["3"]', Membership('identity', ('3',), True)),
        ('identity not in ("3",)', Membership('identity', ('3',), True)),
        ('caption is None', Presence('caption', False)),
        ('not caption is None', Presence('caption', True)),
        ('time >= "2026-05-01T08:00"', Comparison('time', '>=', '2026-05-01T08:00:00')),
        ('time < "2026-05-01T08:00+02:00"', Comparison('time', '<', '2026-05-01T06:00:00')),
        ('time == "2026-05-01T08:00Z"', Comparison('time', '==', '2026-05-01T08:00:00')),
    ],
)
def test_one_condition(text: str, tree: object) -> None:
    assert parse_filter(text, COLUMNS) == tree


def test_negation_reaches_the_leaves() -> None:
    camera, floor = Comparison('camera', '!=', 3), Comparison('floor', '<=', 2)
    assert parse_filter('not (camera == 3 and floor > 2)', COLUMNS) == Junction((camera, floor), every=False)
    assert parse_filter('not (camera == 3 or floor > 2)', COLUMNS) == Junction((camera, floor), every=True)
    low, high = Comparison('camera', '>=', 2), Comparison('camera', '<', 5)
    assert parse_filter('2 <= camera < 5', COLUMNS) == Junction((low, high), every=True)
    outside = (Comparison('camera', '<', 2), Comparison('camera', '>=', 5))
    assert parse_filter('not 2 <= camera < 5', COLUMNS) == Junction(outside, every=False)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'is a condition'),
        ('camera ==', 'cannot be read'),
        ('camera = 3', 'cannot be read'),
        ('camra == 3', r"no column 'camra' \(did you mean camera\?\); this gallery has path, identity, camera"),
        ('camera == "3"', "holds whole numbers, but is compared with '3'"),
        ('identity == 3', 'write "3" in quotes'),
        ('camera == True', 'holds whole numbers'),
        ('camera == camera', 'a column on one side and a value on the other'),
        ('camera', 'is not a condition'),
        ('__import__("os").system("true")', 'is not a condition'),
        ('camera == __import__("os").system("true")', 'not a value'),
        ('camera.real == 3', 'a column on one side'),
        ('camera in range(3)', 'takes values in brackets'),
        ('camera is 3', 'only whether a value is there'),
        ('time >= "yesterday"', 'ISO 8601'),
        ('camera == 99999999999999999999', 'does not fit into 64 bits'),
        ('floor == 1e999', 'does not fit into 64 bits'),
        ('floor == 0x' + 'f' * 300, 'does not fit into 64 bits'),
        ('camera == ' + '-' * 2000 + '1', 'nested too deep'),
        ('time >= "0001-01-01T00:00+10:00"', 'ISO 8601'),
        ('not ' * 60 + 'camera == 3', 'nested too deep'),
        ('(' * 5000 + 'camera == 3' + ')' * 5000, 'cannot be read'),
        ('identity == "\\ud800"', 'half a character'),
        ('camera == 3\x00', 'cannot be read'),
        ('camera in (' + '1,' * 10_001 + ')', 'at most 10,000 values'),
        (' or '.join(f'camera in ({"1," * 4000})' for _ in range(3)), 'at most 10,000 values'),
        (' or '.join(['camera == 1'] * 501), 'at most 500 comparisons'),
        ('x' * 100_001, 'at most 100,000 characters'),
    ],
)
def test_what_is_not_a_condition_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_filter(text, COLUMNS)


def test_python_says_nothing_of_the_style_of_a_condition(recwarn: pytest.WarningsRecorder) -> None:
    parse_filter('camera == 1or floor == 2', COLUMNS)
    assert not recwarn.list


def test_sql_holds_no_values() -> None:
    text, values = to_sql(parse_filter('identity == "x\' OR 1=1 --" and (floor > 2 or camera in (1, 2))', COLUMNS))
    assert text == '(identity == ? AND (x_floor > ? OR (camera IS NOT NULL AND camera IN (?, ?))))'
    assert values == ["x' OR 1=1 --", 2, 1, 2]
    assert to_sql(None) == ('1', [])


def test_milvus_values_cannot_end_their_quotes() -> None:
    condition = parse_filter('identity != "a\\" or 1 == 1" and caption is None', COLUMNS)
    assert to_milvus(condition) == ('((exists identity) and (identity != "a\\" or 1 == 1")) and (not (exists caption))')
    assert to_milvus(parse_filter('floor not in (1, 2.5)', COLUMNS)) == (
        '(exists x_floor) and (x_floor not in [1] and x_floor not in [2.5])'
    )
