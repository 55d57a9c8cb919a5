import torch
from helpers.stage_batches import DOMAIN_TEMPLATE, IMAGE_SIDE, Given, batch

from cmdg_plugin.models import CMDGReID


def test_prompt_loss_reaches_only_the_prompts_of_the_batch(model: CMDGReID) -> None:
    model.start_stage('prompt', ['prompts'])
    model.prepare_stage(Given())
    losses = model(image_index=torch.tensor([0, 3, 4]), mode='loss')
    losses['loss_prompt'].backward()
    touched = model.prompts.context.grad.flatten(1).abs().sum(1) > 0
    assert touched.tolist() == [True, True, False, False, False]


def test_prompts_are_encoded_with_the_domain_of_their_identity(domain_model: CMDGReID) -> None:
    domain_model.start_stage('prompt', ['prompts', 'losses.prompt'])
    domain_model.prepare_stage(Given())
    fields = domain_model.stages['prompt'].compute(domain_model, {'image_index': torch.tensor([14, 0, 7])})
    prompts, encode = domain_model.prompts, domain_model.backbone.encode_prompts
    people, places = prompts.context[[4, 0, 2]], prompts.domain_context[[1, 0, 1]]
    torch.testing.assert_close(fields.prompt_texts, encode(people))
    torch.testing.assert_close(fields.domain_prompt_texts, encode((people, places), DOMAIN_TEMPLATE))
    domain_model.start_stage('bridging', IMAGE_SIDE)
    domain_model.prepare_stage(Given())
    everyone = encode((prompts.context, prompts.domain_context[[0, 0, 1, 1, 1]]), DOMAIN_TEMPLATE)
    data = domain_model.data_preprocessor(batch([0, 1, 3]))
    fields = domain_model.stages['bridging'].compute(domain_model, data)
    torch.testing.assert_close(fields.domain_prompt_features, everyone)
