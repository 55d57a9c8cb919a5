from cmdg_plugin.gallery.calibration import judge


def test_verdicts() -> None:
    threshold = {'match': 0.8, 'unsure': 0.6}
    verdicts = [judge(score, threshold) for score in (0.8, 0.79, 0.6, 0.59, None)]
    assert verdicts == ['match', 'unsure', 'unsure', 'nobody', 'nobody']
