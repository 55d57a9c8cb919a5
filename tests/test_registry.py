"""Types are found by prefixed name from another project's scope, in a process that never imports the plugin."""

import sys

from helpers.fresh import call_in_fork


def check() -> None:
    """Look every type up, build what needs no data, and see that none is missing here."""
    from mmengine.registry import FUNCTIONS, DefaultScope, Registry
    from mmpretrain.registry import (
        DATA_SAMPLERS,
        DATASETS,
        HOOKS,
        LOG_PROCESSORS,
        LOOPS,
        METRICS,
        MODELS,
        OPTIM_WRAPPER_CONSTRUCTORS,
        OPTIM_WRAPPERS,
        PARAM_SCHEDULERS,
        TRANSFORMS,
    )

    assert not any(name.startswith('cmdg_plugin') for name in sys.modules)
    DefaultScope.get_instance('test', scope_name='mmpretrain')
    expected = {
        MODELS: """
            CMDGReID TextAwareCLIP IdentityPrompt ReIDHead CaptionMemoryBank ReIDDataPreprocessor FeatureRetriever
            WarmupStage PromptStage BridgingStage
            PartNeighborLoss DistributionAlignmentLoss SoftIdentityLoss BatchHardTripletLoss CaptionContrastiveLoss
            PromptContrastiveLoss PromptClassificationLoss DomainAdversarialLoss PromptGuidanceLoss LossTerms
            TextNeighborSearch NeighborDiagnostics BatchAugmentation MultiPositiveCaptionLoss IdentityMemoryLoss
            L2SPLoss
        """,
        TRANSFORMS: 'AugMix LoadImageFromFile',
        DATASETS: 'CaptionedReIDDataset ReIDEvaluationSet SampleIndices TextSearchSet',
        DATA_SAMPLERS: 'IdentitySampler HardIdentitySampler GraphIdentitySampler',
        LOOPS: 'StagedTrainLoop',
        HOOKS: """
            PromptLearningHook DomainBridgingHook StagePreparationHook ResultsHook SentenceQueryHook
            WeightAveragingHook StageIterTimerHook
        """,
        METRICS: 'ReIDMetric',
        LOG_PROCESSORS: 'StageLogProcessor',
        PARAM_SCHEDULERS: 'WarmupCosineLR',
        OPTIM_WRAPPERS: 'CPUBFloat16OptimWrapper',
        OPTIM_WRAPPER_CONSTRUCTORS: 'LayerDecayConstructor',
        FUNCTIONS: 'seed_worker collate_sample_indices',
    }
    for registry, names in expected.items():
        for name in names.split():
            found = registry.get(f'cmdg_plugin.{name}')
            assert found is not None, name
            assert found.__module__.startswith('cmdg_plugin.'), name
    ready = [
        dict(type='PartNeighborLoss'),
        dict(type='DistributionAlignmentLoss'),
        dict(type='SoftIdentityLoss'),
        dict(type='BatchHardTripletLoss', margin=0.3),
        dict(type='CaptionContrastiveLoss'),
        dict(type='PromptContrastiveLoss'),
        dict(type='PromptClassificationLoss'),
        dict(type='ReIDDataPreprocessor'),
        dict(type='DomainAdversarialLoss'),
        dict(type='MultiPositiveCaptionLoss'),
        dict(type='IdentityMemoryLoss'),
        dict(type='L2SPLoss'),
        dict(type='PromptGuidanceLoss'),
        dict(type='IdentityPrompt', num_identities=3, text_width=8),
        dict(type='ReIDHead', num_identities=3, width=8, embed_dim=4),
        dict(type='CaptionMemoryBank', num_samples=5, num_parts=3, dim=4),
        dict(type='TextAwareCLIP', model_name='cmdg-toy-vit'),
        dict(type='CMDGReID', backbone=dict(type='TextAwareCLIP', model_name='cmdg-toy-vit')),
    ]
    for config in ready:
        built = MODELS.build({**config, 'type': 'cmdg_plugin.' + config['type']})
        assert type(built).__name__ == config['type']
    METRICS.build(dict(type='cmdg_plugin.ReIDMetric'))
    TRANSFORMS.build(dict(type='cmdg_plugin.AugMix'))
    HOOKS.build(dict(type='cmdg_plugin.PromptLearningHook', pipeline=[]))
    HOOKS.build(dict(type='cmdg_plugin.DomainBridgingHook', pipeline=[]))
    HOOKS.build(dict(type='cmdg_plugin.ResultsHook'))
    LOG_PROCESSORS.build(dict(type='cmdg_plugin.StageLogProcessor'))
    # Nothing that the plugin registers is missing above. (Sources have no counterpart in other projects.)
    from cmdg_plugin import registry as ours

    known = {name for names in expected.values() for name in names.split()}
    for registry in vars(ours).values():
        if isinstance(registry, Registry) and registry is not ours.SOURCES:
            registry.import_from_location()
            own = {name for name, one in registry.module_dict.items() if one.__module__.startswith('cmdg_plugin.')}
            assert own <= known, own - known


def test_registered_types_resolve_from_another_scope() -> None:
    call_in_fork(check)
