import json
from pathlib import Path

import pytest

from cmdg_plugin.gallery import Gallery
from cmdg_plugin.gallery.calibration import judge


@pytest.fixture
def gallery(tmp_path: Path, toy_checkpoint: Path, index: Path) -> Gallery:
    gallery = Gallery.create(tmp_path / 'gallery', toy_checkpoint, device='cpu')
    gallery.add(index, progress=False)
    return gallery


def test_thresholds_are_best_scores_of_other_people(gallery: Gallery, index: Path) -> None:
    rows = json.loads(index.read_text())
    best = {'image': [], 'text': []}
    for row in rows:
        others = f'identity != {json.dumps(row["identity"])}'
        image = str(index.parent / row['path'])
        best['image'].append(gallery.search(image=image, where=others, top=1).matches[0].score)
        best['text'].append(gallery.search(text=row['captions'][0], where=others, top=1).matches[0].score)
    learned = gallery.calibrate(index, false_positive_rate=0.1, unsure_rate=0.5, progress=False)
    for kind, scores in best.items():
        ordered = sorted(scores, reverse=True)
        assert ordered[1] <= learned[kind].match <= ordered[1] + 1e-6
        assert ordered[6] <= learned[kind].unsure <= ordered[6] + 1e-6
        assert (learned[kind].absent, learned[kind].entries) == (12, 12)
    right = 0
    for row in rows:
        own = gallery.search(
            image=str(index.parent / row['path']),
            where=f'identity == {json.dumps(row["identity"])} and camera != {row["camera"]}',
            top=1,
        ).matches[0]
        right += own.score > best['image'][rows.index(row)] and own.score >= learned['image'].match
    assert learned['image'].found == pytest.approx(right / 12)
    assert learned['image'].present == 12


def test_results_then_have_a_verdict(gallery: Gallery, index: Path) -> None:
    image = index.parent / json.loads(index.read_text())[0]['path']
    assert gallery.search(image=image).verdict is None
    learned = gallery.calibrate(index, false_positive_rate=0.1, unsure_rate=0.5, progress=False)
    again = Gallery.open(gallery.folder, device='cpu')
    for each in (gallery, again):
        assert each.info().calibrated == ('image', 'text')
        assert each.search(image=image).verdict == 'match'  # the image itself is there
        assert each.search(image=image, where='camera == 99').verdict == 'nobody'
        assert each.search(image=image, text='x').verdict is None
        assert each.search(image=image, text='x', text_weight=0).verdict == 'match'
        score = each.search(text='a car', top=1).matches[0].score
        threshold = learned['text']
        expected = 'match' if score >= threshold.match else 'unsure' if score >= threshold.unsure else 'nobody'
        assert each.search(text='a car').verdict == expected


def test_too_few_labelled_images(gallery: Gallery, index: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='takes at least 100 queries of people who are not there; there are 12'):
        gallery.calibrate(index, progress=False)
    with pytest.raises(ValueError, match='that of a match no higher than that of unsure'):
        gallery.calibrate(index, false_positive_rate=0.5, unsure_rate=0.1, progress=False)
    (tmp_path / 'unlabelled').mkdir()
    (index.parent / 'query' / '0000_c1_x.png').rename(tmp_path / 'unlabelled' / 'somebody.png')
    with pytest.raises(ValueError, match='There are no labelled images'):
        gallery.calibrate(tmp_path / 'unlabelled', progress=False)
    assert gallery.info().calibrated == ()


def test_few_captions_do_not_keep_images_from_being_calibrated(
    gallery: Gallery, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr('cmdg_plugin.gallery.calibration.warn', lines.append)
    rows = json.loads(index.read_text())
    for row in rows[4:]:
        del row['captions']
    index.write_text(json.dumps(rows))
    learned = gallery.calibrate(index, false_positive_rate=0.1, unsure_rate=0.5, progress=False)
    assert list(learned) == ['image']
    assert gallery.info().calibrated == ('image',)
    assert 'Sentences are not calibrated. A false-positive rate of 0.1 takes at least 10 queries' in lines[0]


def test_verdicts() -> None:
    threshold = {'match': 0.8, 'unsure': 0.6}
    verdicts = [judge(score, threshold) for score in (0.8, 0.79, 0.6, 0.59, None)]
    assert verdicts == ['match', 'unsure', 'unsure', 'nobody', 'nobody']


def test_strangers_may_be_called_as_people_who_are_there(gallery: Gallery, index: Path) -> None:
    learned = gallery.calibrate(index, false_positive_rate=0.2, unsure_rate=0.5, strangers=True, progress=False)
    assert (learned['image'].absent, learned['image'].present) == (12, 0)
    # The images themselves are in this gallery, and count like those of anybody else.
    assert learned['image'].match > 0.999
