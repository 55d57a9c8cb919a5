from pathlib import Path

from helpers.tools import run_tool


def test_the_first_stage_of_a_run(config_file: Path) -> None:
    result = run_tool('term_gradients.py', config_file, '--num-batches', 1)
    assert result.returncode == 0, result.stderr[-2000:]
    words = result.stdout + result.stderr
    assert '| term | loss | norm of its gradient | cosine with the sum |' in words
    for term in ('id_width', 'id_shared', 'triplet_token', 'triplet_width', 'triplet_shared'):
        assert f'| {term} |' in words
