from pathlib import Path

import pytest

from cmdg_plugin.captioning.shards import Shard


def test_shards_are_read_and_name_their_output() -> None:
    assert Shard.parse('2/8') == Shard(2, 8)
    assert Shard(2, 8).output_path(Path('out/captions.json')) == Path('out/captions.2-of-8.json')


@pytest.mark.parametrize('text', ['0/2', '3/2', '1', '1/0', 'a/b', '-1/2', '1/2/3'])
def test_wrong_shards_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match='expected a shard like 2/8'):
        Shard.parse(text)
