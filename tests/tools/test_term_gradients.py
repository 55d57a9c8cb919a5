import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_first_stage_of_a_run(config_file: Path) -> None:
    command = [sys.executable, str(REPOSITORY / 'tools/term_gradients.py'), str(config_file), '--num-batches', '1']
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr[-2000:]
    words = result.stdout + result.stderr
    assert '| term | loss | norm of its gradient | cosine with the sum |' in words
    for term in ('id_width', 'id_shared', 'triplet_token', 'triplet_width', 'triplet_shared'):
        assert f'| {term} |' in words
