from helpers.ranks import run_on_ranks

CODE = """
from cmdg_plugin.checkpoints.bank_shards import load_shard, save_shard
from cmdg_plugin.models.memory import CaptionMemoryBank


def bank(**options):
    return CaptionMemoryBank(7, 2, 3, sharded=True, **options)


torch.manual_seed(0)
indices, parts = torch.randint(7, (9,)), torch.randn(2, 9, 3)
for keeps_text in (False, True):
    saved, loaded = bank(save_text=keeps_text), bank(save_text=keeps_text)
    saved.update(indices, parts, -parts)
    save_shard(saved, folder, epochs_done=3)
    load_shard(loaded, folder, epochs_done=3)
    for name in ('image', 'filled', 'image_norms', 'text', 'text_norms'):
        expected = getattr(saved, name) if keeps_text or 'text' not in name else torch.zeros_like(getattr(saved, name))
        assert torch.equal(getattr(loaded, name), expected), name
    if not keeps_text:
        try:
            load_shard(bank(save_text=True), folder, epochs_done=3)
        except ValueError as error:
            assert 'not text' in str(error), error
        else:
            raise AssertionError('captions that are not there were loaded')
    torch.distributed.barrier()
"""


def test_rows_come_back_with_their_captions_where_the_text_tower_trains(tmp_path):
    run_on_ranks(CODE, tmp_path)
