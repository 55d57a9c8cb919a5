from cmdg_plugin.datasets.checking import ConfigCheck, Problem, draw_config_check


def test_report_names_the_first_images() -> None:
    check = ConfigCheck(problems=[Problem('shop: bad\nas this', tuple(f'{number}.png' for number in range(7)))])
    text = draw_config_check(check, shown=2)
    assert text.endswith('- shop: bad\n  as this\n    0.png\n    1.png\n    ... and 5 more (all with --out FILE)')
    assert draw_config_check(check, shown=None).count('.png') == 7
