"""Types are found by prefixed name from another project's scope, in a process that never imports the plugin."""

import subprocess
import sys

SCRIPT = """
import mmpretrain
from mmengine.registry import DefaultScope
from mmpretrain.registry import (DATA_SAMPLERS, DATASETS, FUNCTIONS, HOOKS, LOG_PROCESSORS, LOOPS, METRICS, MODELS,
                                 PARAM_SCHEDULERS)
DefaultScope.get_instance('test', scope_name='mmpretrain')
expected = {
    MODELS: '''CMDGReID TextAwareCLIP IdentityPrompt ReIDHead CaptionMemoryBank ReIDDataPreprocessor PartNeighborLoss
        DistributionAlignmentLoss SoftIdentityLoss BatchHardTripletLoss CaptionContrastiveLoss PromptContrastiveLoss''',
    DATASETS: 'CaptionedReIDDataset ReIDEvaluationSet SampleIndices',
    DATA_SAMPLERS: 'IdentitySampler',
    LOOPS: 'StagedTrainLoop',
    HOOKS: 'PromptLearningHook DomainBridgingHook ResultsHook',
    METRICS: 'ReIDMetric',
    LOG_PROCESSORS: 'StageLogProcessor',
    PARAM_SCHEDULERS: 'WarmupCosineLR',
    FUNCTIONS: 'seed_worker collate_sample_indices',
}
for registry, names in expected.items():
    for name in names.split():
        found = registry.get(f'cmdg_plugin.{name}')
        assert found is not None, name
        assert found.__module__.startswith('cmdg_plugin.'), name
loss = MODELS.build(dict(type='cmdg_plugin.BatchHardTripletLoss', margin=0.3))
assert type(loss).__name__ == 'BatchHardTripletLoss'
metric = METRICS.build(dict(type='cmdg_plugin.ReIDMetric'))
prompt = MODELS.build(dict(type='cmdg_plugin.IdentityPrompt', num_identities=3, text_width=8))
"""


def test_registered_types_resolve_from_another_scope():
    result = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
