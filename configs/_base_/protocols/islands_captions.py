"""Islands, searched by captions: each global caption of a test image asks for its identity; for tests alone."""

_base_ = ['./islands.py']

train_dataloader = None
val_dataloader = None
val_evaluator = None
test_dataloader = dict(dataset=dict(type='TextSearchSet'))
test_evaluator = dict(type='ReIDMetric', num_ranked_queries=6, num_worst_queries=2, num_best_queries=2)
test_cfg = dict()
custom_hooks = [dict(type='SentenceQueryHook')]
