import torch

from cmdg_plugin.models.backbones import TextAwareCLIP


@torch.no_grad()
def test_tokens_are_those_of_open_clips_own_forward() -> None:
    torch.manual_seed(0)
    backbone = TextAwareCLIP('cmdg-test-tiny').eval()
    visual = backbone.clip.visual
    images = torch.randn(2, 3, 48, 24)
    output = visual.forward_intermediates(images, indices=2, output_fmt='NLC', output_extra_tokens=True)
    (entering, class_token), (_, patches) = output['image_intermediates_prefix'], output['image_intermediates']
    tokens = backbone.image_tower.encode(images)
    torch.testing.assert_close(tokens.entering_last_block, entering[:, 0])
    torch.testing.assert_close(tokens.regions[3], visual.ln_post(class_token)[:, 0])
    torch.testing.assert_close(tokens.regions[1], visual.ln_post(patches)[:, 6:12].mean(dim=1))
    torch.testing.assert_close(tokens.projected[3], output['image_features'])
