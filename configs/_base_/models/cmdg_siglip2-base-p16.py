"""CMDG on SigLIP 2's ViT-B/16: features of 768 + 768 numbers.

Its tokenizer is fetched like its weights, and takes `pip install transformers`. Without network, fetch both elsewhere:
--cfg-options model.backbone.pretrained=FILE model.backbone.tokenizer=FOLDER.
"""

_base_ = ['./cmdg_vit-base-p16.py']

model = dict(backbone=dict(model_name='ViT-B-16-SigLIP2', pretrained='webli'))
