import numpy as np
import open_clip
import pytest
import torch
from pretraining.learner import Learner, Recipe, encode_text, shift_images, token_rarity, word_targets

from cmdg_plugin.models.backbones.shipped_models import register_shipped_model, tokenizer_arguments
from cmdg_plugin.models.backbones.text_tower import TextTower

TEXTS = [
    'A man in a red coat.',
    'A woman.',
    'In front of something gray, on navy ground, a man is dressed in a gray jacket and black sandals.',
    'A woman is wearing a blue tee.',
    'The lower third shows a person with white sneakers.',
]


def make_learner(steps: int = 6, bfloat16: bool = False) -> Learner:
    torch.manual_seed(0)
    register_shipped_model('cmdg-toy-vit')
    model = open_clip.create_model('cmdg-toy-vit')
    tokenizer = open_clip.get_tokenizer('cmdg-toy-vit', **tokenizer_arguments('cmdg-toy-vit'))
    tokens = tokenizer([TEXTS[number % len(TEXTS)] for number in range(32)]).view(8, 4, -1)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size=(8, 3, 96, 48), dtype=np.uint8))
    return Learner(model, images, tokens, Recipe(steps, batch_size=4), bfloat16)


def test_texts_in_groups_of_length_are_encoded_as_one_by_one() -> None:
    learner = make_learner()
    tokens = learner.tokens.flatten(0, 1)[:5]
    with torch.no_grad():
        together = encode_text(learner.model, tokens)
        alone = learner.model.encode_text(tokens)
    assert TextTower(learner.model).ends(tokens).unique().numel() > 2
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_word_targets_share_out_by_rarity() -> None:
    tokens = torch.tensor([[1, 2, 0], [1, 3, 3], [1, 0, 0], [1, 2, 0]])
    rarity = token_rarity(tokens, 5)
    expected = -torch.tensor([0.75, 1.0, 0.5, 0.25]).log()
    torch.testing.assert_close(rarity[:4], expected)
    assert rarity[4] == 0
    targets = word_targets(tokens[:2], rarity)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(targets[0, 2] / targets[0, 0], rarity[2] / rarity[0])
    assert targets[1, 3] == 1


def test_each_image_is_shifted_over_repeated_borders() -> None:
    images = torch.arange(2 * 12, dtype=torch.uint8).view(2, 1, 4, 3)
    rng = np.random.default_rng(3)
    down, right = np.random.default_rng(3).integers(0, 3, size=(2, 2))
    shifted = shift_images(images, 1, rng)
    for number in range(2):
        padded = np.pad(images[number, 0].numpy(), 1, mode='edge')
        window = padded[down[number] : down[number] + 4, right[number] : right[number] + 3]
        assert np.array_equal(shifted[number, 0].numpy(), window)


def test_an_epoch_sees_every_picture_once_in_an_order_of_its_own() -> None:
    learner = make_learner()
    epochs = []
    for _ in range(2):
        rows = []
        for _ in range(2):
            rows += learner.batch().tolist()
            learner.step += 1
        assert sorted(rows) == list(range(8))
        epochs.append(rows)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize('bfloat16', [False, True])
def test_going_on_from_a_state_is_as_if_nothing_had_happened(bfloat16: bool) -> None:
    through = make_learner(bfloat16=bfloat16)
    losses = [through.advance() for _ in range(4)]
    stopped = make_learner(bfloat16=bfloat16)
    for _ in range(2):
        stopped.advance()
    resumed = make_learner(bfloat16=bfloat16)
    resumed.load_state(stopped.state())
    assert [resumed.advance() for _ in range(2)] == losses[2:]
    for name, value in through.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_losses_fall_on_the_same_few_pairs() -> None:
    learner = make_learner(steps=30)
    losses = [sum(learner.advance().values()) for _ in range(30)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1


def test_only_tokens_that_some_texts_have_and_others_lack_are_asked_for() -> None:
    learner = make_learner()
    tokens = learner.tokens.flatten(0, 1)
    texts = [set(row) for row in tokens.tolist()]
    some, everywhere = set.union(*texts), set.intersection(*texts)
    assert everywhere
    assert set(learner.asked.tolist()) == some - everywhere
    assert learner.words.out_features == len(learner.asked)
