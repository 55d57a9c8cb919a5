from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.stage_batches import DOMAIN_TEMPLATE, DOMAINS, bound_model
from mmengine.config import Config
from torch import Tensor

from cmdg_plugin.models import CMDGReID


@pytest.fixture(scope='session')
def golden() -> dict[str, Tensor]:
    """Inputs, values and gradients of the released losses, float64."""
    with np.load(Path(__file__).parents[1] / 'data' / 'golden_losses.npz') as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def model(tiny_config: Config) -> CMDGReID:
    return bound_model(tiny_config.model)


@pytest.fixture
def text_model(tiny_config: Config) -> CMDGReID:
    tiny_config.model.backbone.text_finetune_layers = 1
    return bound_model(tiny_config.model)


ADVERSARIAL = {'type': 'DomainAdversarialLoss', 'name': 'domain'}


@pytest.fixture
def domain_model(tiny_config: Config) -> CMDGReID:
    tiny_config.model.prompts.domain_template = DOMAIN_TEMPLATE
    term = {**ADVERSARIAL, 'inputs': {'features': 'prompt_texts', 'domains': 'domains'}}
    tiny_config.model.losses.prompt.append(term)
    return bound_model(tiny_config.model, DOMAINS)
