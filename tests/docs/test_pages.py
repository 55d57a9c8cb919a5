"""Pages of the documentation: commands parse, files exist, Python runs."""

import importlib.util
import re
import shlex
import sys
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cmdg_plugin.models.losses import batch_hard_triplet_loss

REPOSITORY = Path(__file__).parents[2]
# These two are run as a whole, by tools/run_docs.py in CI.
RUN_IN_CI = ('install.md', 'mim.md')
PAGES = [
    *(page for page in sorted((REPOSITORY / 'docs').glob('*.md')) if page.name not in RUN_IN_CI),
    REPOSITORY / 'projects/mmpretrain_reid/README.md',
]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```$', path.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE)


COMMANDS = [
    (page.name, line)
    for page in PAGES
    for block in blocks(page, 'bash')
    for line in block.replace('\\\n', ' ').splitlines()
    if line.strip() and not line.startswith('#')
]


@pytest.mark.parametrize(('page', 'line'), COMMANDS)
def test_command_is_understood(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our tools' own parsers read their arguments; the configs and extras that a command names exist."""
    words = shlex.split(line, comments=True)
    while re.fullmatch(r'(?!MMPRETRAIN)[A-Z_]+=\S*', words[0]):
        words.pop(0)
    for word in words:
        if word.startswith(('configs/', 'projects/')) or (word.endswith('.py') and not word.startswith('$')):
            assert (REPOSITORY / word).exists(), word
    if words[0] == 'python' and words[1].startswith('tools/'):
        spec = importlib.util.spec_from_file_location('tool', REPOSITORY / words[1])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', words[1:])
        module.parse_args()
    elif words[0] == 'bash':
        assert (REPOSITORY / words[1]).exists()
    elif words[:3] == ['pip', 'install', '-r']:
        assert (REPOSITORY / words[3]).exists()
    elif words[:2] == ['pip', 'install']:
        extras = ConfigParser()
        extras.read(REPOSITORY / 'setup.cfg')
        assert re.search(r'\[(.*)\]', words[-1])[1] in extras['options.extras_require']
    elif words[:3] != ['python', '-m', 'json.tool']:
        assert '$MMPRETRAIN/tools/train.py' in words or words[0].startswith('MMPRETRAIN=')


@pytest.mark.parametrize('page', [*PAGES, REPOSITORY / 'README.md'], ids=lambda page: page.stem)
def test_tools_and_options_in_running_text_exist(page: Path) -> None:
    """In tables and sentences, where arguments are placeholders."""
    text = page.read_text(encoding='utf-8')
    for tool, rest in re.findall(r'`(?:python|bash) (tools/[\w/]+\.(?:py|sh))([^`]*)`', text):
        source = (REPOSITORY / tool).read_text()
        if 'cmdg_plugin.cli.command_line' in source:
            source += (REPOSITORY / 'cmdg_plugin/cli/command_line.py').read_text()
        for option in re.findall(r'--[a-z][a-z0-9-]+', rest):
            assert f"'{option}'" in source or '$@' in source, f'{tool} has no {option}'


@pytest.mark.parametrize('page', [*PAGES[:-1], REPOSITORY / 'README.md'], ids=lambda page: page.stem)
def test_files_in_running_text_exist(page: Path) -> None:
    paths = re.findall(
        r'`((?:cmdg_plugin|configs|docs|projects|tests|tools)/[\w./*-]+)`', page.read_text(encoding='utf-8')
    )
    assert [path for path in paths if not any(REPOSITORY.glob(path.rstrip('/')))] == []


def test_there_are_commands() -> None:
    assert {page for page, _ in COMMANDS} >= {'first-run.md', 'configs.md', 'torchreid.md', 'README.md'}


@pytest.mark.parametrize('page', ['python-api', 'mm-projects', 'torchreid'])
def test_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'people').mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (40, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'people/{number}.png')
    (tmp_path / 'configs').symlink_to(REPOSITORY / 'configs')
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for block in blocks(REPOSITORY / f'docs/{page}.md', 'python'):
        exec(compile(block, f'{page}.md', 'exec'), scope)
    if page == 'python-api':
        assert (scope['nearest'][:, 0] == scope['nearest'].new_tensor([0, 1, 2])).all()
        assert scope['scores'].shape == (3, 1)
        assert scope['loss'] < batch_hard_triplet_loss(torch.nn.Linear(32, 16)(scope['inputs']), scope['labels'])
    if page == 'mm-projects':
        assert Path(scope['_base_']).is_file()
        expected = scope['model']  # the same features as our own call
        from cmdg_plugin.apis import extract_features

        ours = extract_features(expected, 'people', progress=False)
        assert all(feature.allclose(row, atol=1e-5) for feature, row in zip(scope['features'], ours, strict=True))
        assert scope['matches'][0]['sample']['img_path'] == scope['list_images']('people')[0]


# The site's own build checks the links between pages of docs/.
AROUND = [*(REPOSITORY / name for name in ('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md')), PAGES[-1]]


@pytest.mark.parametrize('page', AROUND, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r'(?:\]\(|src=")([^)#"]*)#?([^)"]*)[)"]', page.read_text(encoding='utf-8')):
        if target.startswith('http'):
            continue
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f'{target}#{anchor}'


def anchors(page: Path) -> list[str]:
    """The names that links give a page's headings."""
    headings = re.findall(r'^#+ (.*)$', page.read_text(encoding='utf-8'), re.MULTILINE)
    return [re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings]


def test_pictures_are_small() -> None:
    pictures = [path for path in (REPOSITORY / 'docs').rglob('*') if path.suffix in ('.png', '.jpg')]
    assert pictures
    assert all(path.stat().st_size < 200_000 for path in pictures)


def test_the_table_of_engines_is_one_that_the_benchmark_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = REPOSITORY / 'tools/benchmarks'
    monkeypatch.syspath_prepend(str(folder))
    specification = importlib.util.spec_from_file_location('benchmark_gallery', folder / 'benchmark_gallery.py')
    assert specification is not None
    assert specification.loader is not None
    benchmark = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, 'benchmark_gallery', benchmark)
    specification.loader.exec_module(benchmark)
    lines = (REPOSITORY / 'docs/gallery.md').read_text(encoding='utf-8').splitlines()
    start = lines.index(benchmark.HEADER[0])
    assert lines[start + 1] == benchmark.HEADER[1]
    rows = [line.split(' | ')[:2] for line in lines[start + 2 : lines.index('', start)]]
    engines = list(benchmark.CANDIDATES)
    assert rows[: len(engines)] == [[f'| {name}', '100,000'] for name in engines]
    possible = [[f'| {name}', '1,000,000'] for name in benchmark.MILLION]
    assert all(row in possible for row in rows[len(engines) :])
