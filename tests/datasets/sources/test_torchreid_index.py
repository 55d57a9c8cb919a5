from pathlib import Path

from cmdg_plugin.datasets.sources import BenchmarkSource, TorchreidSource


def test_market_distractors_stay_in_the_gallery(torchreid_data: Path) -> None:
    split = TorchreidSource('market1501', str(torchreid_data)).load().split()
    assert sorted({record.identity for record in split.gallery}) == [0, 1, 4, 6]
    assert [record.identity for record in split.gallery if record.distractor] == [0, 0]
    assert {record.identity for record in split.train} == {2, 3, 5, 8}
    assert {record.captions for record in split.train} == {None}


def test_detected_boxes_of_cuhk03_are_not_captioned_as_labeled_ones(torchreid_data: Path) -> None:
    split = BenchmarkSource('cuhk03', str(torchreid_data), version='detected').load().split()
    # The last image of pair 5 was not detected; its two people lose one each.
    assert [len(part) for part in (split.train, split.val, split.query, split.gallery)] == [15, 0, 6, 5]
    assert all(record.path.startswith('images_detected/') for record in split.train)
    # The caption file describes the labeled boxes, which are other pictures.
    assert {record.captions for record in split.train} == {None}
    assert {record.camera for record in split.train} == {
        2 * pair + view - 3 for pair in (1, 2, 3, 5) for view in (1, 2)
    }
