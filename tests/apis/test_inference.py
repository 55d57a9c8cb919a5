import copy
import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_runs import train
from mmengine.config import Config
from PIL import Image

from cmdg_plugin.apis import encode_text, extract_features, inference, init_model
from cmdg_plugin.checkpoints.publishing import publish_model
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.regions import REGIONS
from cmdg_plugin.registry import MODELS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def toy() -> CMDGReID:
    return init_model(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py', device='cpu')


@pytest.fixture
def people(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ('person_1.jpg', 'deeper/person_2.jpg', 'person_3.PNG'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 20, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('no image')
    return tmp_path


@pytest.mark.parametrize('name', ['init_model', 'extract_features', 'encode_text'])
def test_examples_of_the_docstrings(toy: CMDGReID, people: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (people / 'deeper/person_2.jpg').rename(people / 'person_2.jpg')
    monkeypatch.chdir(people)
    (people / 'configs').symlink_to(REPOSITORY / 'configs')
    scope = {**vars(inference), 'model': toy}
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(inference, name), name, globs=scope)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_features_of_a_checkpoint(tiny_config: Config) -> None:
    """A checkpoint read back, where no training data is left, against the run's model on pixels prepared by hand."""
    runner = train(tiny_config)
    for source in tiny_config.train_dataloader.dataset.sources:
        source.root = source.caption_file = '/nowhere'
    model = init_model(tiny_config, Path(runner.work_dir) / 'epoch_7.pth', 'cpu')
    target = runner.val_loop.dataloader.dataset.targets[0]
    features = extract_features(model, target.paths, batch_size=5, progress=False)
    runner.model.eval()
    with torch.no_grad():
        expected = torch.cat([runner.model.cpu().extract_features(_normalized(model, path)) for path in target.paths])
    assert torch.allclose(features, expected, atol=1e-6)
    assert model.head is None


def _normalized(model: CMDGReID, path: str) -> torch.Tensor:
    """Resize and normalize by hand."""
    pixels = np.asarray(Image.open(path).convert('RGB').resize((16, 24), Image.Resampling.BICUBIC), dtype=np.float32)
    channels = torch.from_numpy(pixels / 255).permute(2, 0, 1)
    mean, variance = channels.mean((1, 2), keepdim=True), channels.var((1, 2), keepdim=True, correction=0)
    return ((channels - mean) / (variance + 1e-5).sqrt())[None]


def test_config_from_the_checkpoint(tiny_config: Config, tiny_checkpoint: Path) -> None:
    with_config, alone = (init_model(config, tiny_checkpoint, 'cpu') for config in (tiny_config, None))
    pipelines = [model._config.test_dataloader.dataset.pipeline for model in (alone, with_config)]
    assert pipelines[0] == pipelines[1]
    for name, weight in with_config.state_dict().items():
        assert torch.equal(weight, alone.state_dict()[name]), name


def test_the_weights_that_training_began_with_are_not_needed(tiny_config: Config, people: Path, tmp_path: Path) -> None:
    """They may be on the author's machine alone, or a download; the activation they ran with is in no weight."""
    first = tmp_path / 'first.pt'
    torch.save(MODELS.build(copy.deepcopy(tiny_config.model)).backbone.clip.state_dict(), first)
    tiny_config.model.backbone.update(pretrained=str(first), quick_gelu=True)
    checkpoint = Path(train(tiny_config).work_dir) / 'epoch_7.pth'
    expected = extract_features(init_model(tiny_config, checkpoint, 'cpu'), people, progress=False)
    published = publish_model(checkpoint, tmp_path / 'published.pth')
    first.unlink()
    for config in (None, tiny_config):
        model = init_model(config, published, 'cpu')
        assert model.backbone.quick_gelu
        assert torch.equal(extract_features(model, people, progress=False), expected)
    assert tiny_config.model.backbone.pretrained == str(first)


def test_files_arrays_pictures_and_folders_agree(toy: CMDGReID, people: Path) -> None:
    paths = [people / 'deeper/person_2.jpg', people / 'person_1.jpg', people / 'person_3.PNG']
    expected = extract_features(toy, paths, progress=False)
    pictures = [Image.open(path) for path in paths]
    arrays = [np.asarray(picture.convert('RGB'))[..., ::-1] for picture in pictures]
    assert torch.equal(extract_features(toy, pictures, progress=False), expected)
    assert torch.equal(extract_features(toy, arrays, progress=False), expected)
    assert torch.equal(extract_features(toy, people, progress=False), expected)
    assert torch.allclose(extract_features(toy, people, batch_size=1, progress=False), expected, atol=1e-6)
    assert torch.allclose(extract_features(toy, str(paths[0]), progress=False), expected[:1], atol=1e-6)
    assert expected.shape == (3, 128 + 96)
    assert torch.allclose(expected.norm(dim=1), torch.ones(3))


def test_arrays_of_paths_are_several_images(toy: CMDGReID, people: Path) -> None:
    paths = [str(people / 'deeper/person_2.jpg'), str(people / 'person_1.jpg')]
    expected = extract_features(toy, paths, progress=False)
    as_objects = np.array([Path(path) for path in paths], dtype=object)
    for images in (np.array(paths), as_objects, np.array([paths]), iter(paths), tuple(paths)):
        assert torch.equal(extract_features(toy, images, progress=False), expected)
    assert torch.allclose(extract_features(toy, np.array(paths[0]), progress=False), expected[:1], atol=1e-6)
    stacked = np.stack([np.asarray(Image.open(path))[..., ::-1] for path in paths])
    assert torch.equal(extract_features(toy, stacked, progress=False), expected)
    with pytest.raises(ValueError, match='no images'):
        extract_features(toy, np.array([], dtype=str))


def test_sixteen_bits_give_the_features_of_their_twin_in_eight(toy: CMDGReID, tmp_path: Path) -> None:
    """As infrared and thermal cameras store them."""
    levels = np.random.default_rng(0).integers(0, 256, (40, 20), dtype=np.uint8)
    wide = levels.astype(np.uint16) * 257
    Image.fromarray(levels).save(tmp_path / 'eight.png')
    Image.fromarray(wide).save(tmp_path / 'sixteen.png')
    Image.fromarray(wide).save(tmp_path / 'sixteen.tif')
    expected = extract_features(toy, tmp_path / 'eight.png', progress=False)
    color = np.repeat(wide[..., None], 3, axis=2)
    for image in (tmp_path / 'sixteen.png', tmp_path / 'sixteen.tif', Image.fromarray(wide), wide, color, levels):
        assert torch.equal(extract_features(toy, image, progress=False), expected)


def test_shared_space_is_the_global_region(toy: CMDGReID, people: Path) -> None:
    image = people / 'person_1.jpg'
    shared = extract_features(toy, image, space='shared', progress=False)
    both = extract_features(toy, image, progress=False)[:, 128:]
    assert REGIONS[-1] == 'global'
    assert torch.allclose(shared, torch.nn.functional.normalize(both, dim=1), atol=1e-6)


@pytest.mark.parametrize('space', ['retrieval', 'shared'])
def test_an_image_and_its_mirror_image_are_one_with_flip_test(
    toy: CMDGReID, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    pair = [image, np.ascontiguousarray(image[:, ::-1])]
    plain = extract_features(toy, pair, space=space, progress=False)
    monkeypatch.setattr(toy, 'flip_test', True)
    flipped = extract_features(toy, pair, space=space, progress=False)
    assert not torch.allclose(plain[0], plain[1], atol=1e-3)
    assert torch.allclose(flipped[0], flipped[1], atol=1e-5)
    assert torch.allclose(flipped.norm(dim=1), torch.ones(2), atol=1e-6)


def test_text_is_what_the_tower_says(toy: CMDGReID) -> None:
    sentences = ['A red coat.', 'Blue shoes.', 'A red coat.']
    features = encode_text(toy, sentences, batch_size=2)
    tokens, _ = toy.backbone.tokenize(sentences)
    expected = toy.backbone.encode_text(tokens)
    assert torch.allclose(features, expected / expected.norm(dim=1, keepdim=True), atol=1e-6)
    assert features.shape == (3, 96)
    assert torch.allclose(encode_text(toy, 'A red coat.'), features[:1], atol=1e-6)
    assert torch.allclose(encode_text(toy, np.array(sentences)), features, atol=1e-6)


def test_long_text_is_cut_with_a_warning(toy: CMDGReID, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    monkeypatch.setattr(inference, 'warn', lines.append)
    encode_text(toy, ['A coat.', 'red ' * 500])
    assert lines == ['1 of 2 sentences were longer than the text tower reads and were cut at their end.']


def test_progress_is_shown_on_request(toy: CMDGReID, people: Path, capsys: pytest.CaptureFixture) -> None:
    extract_features(toy, people)
    assert 'Extracting features' in capsys.readouterr().err
    extract_features(toy, people, progress=False)
    assert not capsys.readouterr().err


def test_workers_read_images(toy: CMDGReID, people: Path) -> None:
    expected = extract_features(toy, people, progress=False)
    assert torch.equal(extract_features(toy, people, num_workers=1, progress=False), expected)


def test_mistakes_are_named(toy: CMDGReID, people: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of retrieval, shared, got 'text'"):
        extract_features(toy, people, space='text')
    with pytest.raises(ValueError, match='no images'):
        extract_features(toy, [])
    with pytest.raises(TypeError, match=r'number 1 \(from 0\) is 3, a int'):
        encode_text(toy, ['A coat.', 3])
    with pytest.raises(TypeError, match='not a NoneType'):
        encode_text(toy, None)
    with pytest.raises(TypeError, match='not a int'):
        extract_features(toy, 3)
    with pytest.raises(ValueError, match='no sentences'):
        encode_text(toy, [])
    with pytest.raises(ValueError, match='needs a config, or a checkpoint'):
        init_model()
    with pytest.raises(ValueError, match=r"init_model\(None, 'epoch_7\.pth'\)"):
        init_model('epoch_7.pth')
    with pytest.raises(FileNotFoundError, match=r'no config at nowhere\.py'):
        init_model('nowhere.py')
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at nowhere\.pth'):
        init_model(toy._config, 'nowhere.pth')
    torch.save({'state_dict': {}}, tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='carries no config'):
        init_model(None, tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match=r'Nothing can be computed on the device tpu here: .*\.$'):
        init_model(toy._config, device='tpu')


@pytest.mark.parametrize(
    ('sentence', 'message'), [(' ', 'number 1 .* is empty'), ('a \ud800 coat', 'number 1 .* holds half a character')]
)
def test_sentences_that_say_nothing_are_refused(toy: CMDGReID, sentence: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_text(toy, ['A coat.', sentence])
    with pytest.raises(ValueError, match='batch_size must be at least 1, got 0'):
        encode_text(toy, 'A coat.', batch_size=0)
