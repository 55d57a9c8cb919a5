"""Loss terms of CILP-FGDI's prompt and last stage, with the weights of its public code; its first is CMDG's warm-up.

Prompt stage: contrast of images with both kinds of prompts, and 0.01 of a domain classifier after a gradient reversal
of strength 0.1. Last stage: the warm-up's terms, 0.9 of image-to-text and 0.1 of bidirectional guiding.
"""

identity = dict(type='SoftIdentityLoss', smoothing=0.1)
triplet = dict(type='BatchHardTripletLoss', margin=None)
contrast = dict(type='PromptContrastiveLoss', temperature=1.0)

cilp_fgdi_prompt_terms = [
    dict(**contrast, name='prompt', inputs=dict(image='global_shared', text='prompt_texts')),
    dict(**contrast, name='domain_prompt', inputs=dict(image='global_shared', text='domain_prompt_texts')),
    dict(
        type='DomainAdversarialLoss',
        name='domain',
        weight=0.01,
        strength=0.1,
        hidden=128,
        inputs=dict(features='prompt_texts'),
    ),
]
cilp_fgdi_image_terms = [
    dict(**identity, name='id_width', inputs=dict(logits='logits_width')),
    dict(**identity, name='id_shared', inputs=dict(logits='logits_shared')),
    dict(**triplet, name='triplet_token', inputs=dict(features='last_block_token')),
    dict(**triplet, name='triplet_width', inputs=dict(features='global_width')),
    dict(**triplet, name='triplet_shared', inputs=dict(features='global_shared')),
    dict(
        type='PromptClassificationLoss',
        name='image_to_text',
        weight=0.9,
        smoothing=0.1,
        inputs=dict(image='global_shared'),
    ),
    dict(type='PromptGuidanceLoss', name='guidance', weight=0.1, inputs=dict(image='global_shared')),
]
del identity, triplet, contrast
