import hashlib
import json
import logging
from pathlib import Path
from types import ModuleType

import pytest
import torch
from helpers.tools import run_tool
from mmengine.config import Config

from cmdg_plugin.apis import extract_features, init_model
from cmdg_plugin.apis.model_card import UNKNOWN_TERMS, describe_model, write_model_card
from cmdg_plugin.checkpoints.publishing import publish_model
from cmdg_plugin.toolboxes import evaluate_with_torchreid

REPOSITORY = Path(__file__).parents[2]


def with_sources(published: Path, sources: list[dict], **dataset: object) -> Path:
    """Make a published file say that it was trained on other sources."""
    content = torch.load(published, weights_only=True)
    config = Config.fromstring(content['meta']['cfg'], '.py')
    config.train_dataloader.dataset.update(sources=sources, **dataset)
    content['meta']['cfg'] = Config(config.to_dict(), format_python_code=False).pretty_text
    path = published.with_name('other.pth')
    torch.save(content, path)
    return path


def test_a_card_says_what_was_trained_how_and_what_it_reached(
    tiny_checkpoint: Path, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    published = publish_model(tiny_checkpoint, tmp_path / 'tiny.pth')
    results = tmp_path / 'results.json'
    results.write_text(json.dumps({'before': {'target/mAP': 1.0}, 'after': {'target/mAP': 43.21, 'target/R1': 50.0}}))
    markdown, data = write_model_card(published, results)
    assert (markdown, data) == (published.with_suffix('.md'), published.with_suffix('.json'))
    card = json.loads(data.read_text())
    assert card['sha256'] == hashlib.sha256(published.read_bytes()).hexdigest()
    assert card['scores'] == {'target/mAP': 43.21, 'target/R1': 50.0}
    assert [source['name'] for source in card['sources']] == ['alpha', 'beta']
    assert [target['name'] for target in card['targets']] == ['target']
    assert [(stage['name'], stage['epochs']) for stage in card['recipe']['stages']] == [
        ('warmup', 2),
        ('prompt', 3),
        ('bridging', 2),
    ]
    assert card['recipe']['stages'][2]['losses']['soft_identity'] == 3.75
    assert card['model']['image_size'] == [24, 16]
    assert card['recipe']['epoch'] == 7
    weights = torch.load(published, weights_only=True)['state_dict']
    assert card['model']['parameters'] == sum(value.numel() for value in weights.values())
    text = markdown.read_text()
    for said in (card['sha256'], '| target | 43.2 | 50.0 |', 'A rank is not an identification', 'soft_identity 3.75'):
        assert said in text
    # Nobody but the publisher knows under which terms own images may be used.
    assert text.count(UNKNOWN_TERMS) == 3
    assert [record.levelno for record in log.records if 'the terms of alpha, beta are not known' in record.message] == [
        logging.WARNING
    ]


def test_terms_of_public_datasets_and_islands_are_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    published = publish_model(tiny_checkpoint, tmp_path / 'tiny.pth')
    sources = [
        {'type': 'cmdg_plugin.BenchmarkSource', 'name': 'cuhk03', 'version': 'labeled'},
        {'type': 'HeldOutSource', 'source': {'type': 'IslandsSource', 'domain': 'harbor'}},
    ]
    card = describe_model(with_sources(published, sources, subsets='all'))
    public, drawn = card['sources']
    assert (public['name'], public['version']) == ('cuhk03', 'labeled')
    assert 'may not be passed on' in public['terms']
    assert (drawn['name'], drawn['type']) == ('harbor', 'HeldOutSource')
    assert 'no real person' in drawn['terms']
    assert card['subsets'] == 'all'
    assert card['scores'] is None


def test_a_published_file_is_all_that_others_need(
    tiny_checkpoint: Path, tiny_data: Path, miniatures: ModuleType, tmp_path: Path
) -> None:
    published = publish_model(tiny_checkpoint, tmp_path / 'tiny.pth')
    ours, theirs = init_model(None, tiny_checkpoint, 'cpu'), init_model(None, published, 'cpu')
    people = tiny_data / 'target' / 'query'
    expected = extract_features(ours, people, progress=False)
    assert torch.equal(extract_features(theirs, people, progress=False), expected)
    miniatures.write_miniature(tmp_path, 'viper', 'release')
    scores = [evaluate_with_torchreid(model, ['cmdg_viper'], str(tmp_path), batch_size=7) for model in (ours, theirs)]
    assert scores[0] == scores[1]


def test_what_a_card_cannot_be_made_from(tiny_checkpoint: Path, tmp_path: Path) -> None:
    published = publish_model(tiny_checkpoint, tmp_path / 'tiny.pth')
    with pytest.raises(FileNotFoundError, match=r'No results at .*none\.json'):
        write_model_card(published, tmp_path / 'none.json')
    empty = tmp_path / 'empty.json'
    for content in ('{}', '[1]', '{"after": {"target/mAP": "high"}}', '{'):
        empty.write_text(content)
        with pytest.raises(ValueError, match=r'empty\.json holds no scores'):
            write_model_card(published, empty)
    empty.write_text('{"loss": 1.0}')
    with pytest.raises(ValueError, match='No key of the form <target>/mAP'):
        write_model_card(published, empty)
    assert not published.with_suffix('.md').exists()
    content = torch.load(published, weights_only=True)
    del content['meta']['cfg']
    torch.save(content, published)
    with pytest.raises(ValueError, match='carries no config'):
        write_model_card(published)


def test_the_tool_writes_both(tiny_checkpoint: Path, tmp_path: Path) -> None:
    files = (tiny_checkpoint, tmp_path / 'tiny.pth')
    refused = run_tool('publish_model.py', *files, '--results', 'x.json')
    assert refused.returncode == 2
    assert 'add --card' in refused.stderr
    done = run_tool('publish_model.py', *files, '--card')
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in tmp_path.glob('tiny-*')} == {'.pth', '.md', '.json'}
    (markdown,) = tmp_path.glob('tiny-*.md')
    assert str(markdown) in done.stdout + done.stderr
    assert 'None given.' in markdown.read_text()
