"""What text-to-image person search on public datasets shares; for tests alone. Targets: configs/text_search.

Options, given by `--cfg-options name=value`: data_root, image_size, num_workers (benchmarks.py).
"""

_base_ = ['./benchmarks.py']

train_dataloader = None
val_dataloader = None
val_evaluator = None
test_dataloader = dict(dataset=dict(type='TextSearchSet', split='released'))
test_evaluator = dict(type='ReIDMetric', num_ranked_queries=6, num_worst_queries=2, num_best_queries=2)
test_cfg = dict()
custom_hooks = [dict(type='SentenceQueryHook')]
