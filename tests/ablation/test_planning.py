import copy
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_runs import different
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.ablation import Grid, Row, Run, check_unchanged, list_sources, plan_runs

REPOSITORY = Path(__file__).parents[2]
TOY = str(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py')
ID_ONLY = str(REPOSITORY / 'configs/baselines/id-only_toy-vit_islands.py')
PART = 'model.losses.bridging.part.weight'


def plan(
    *rows: Row, work_dir: Path = Path('work'), seeds: int = 1, options: dict | None = None, **grid: Any
) -> list[Run]:
    return plan_runs(TOY, Grid(rows, **grid), seeds, work_dir, options or {})


def test_every_row_with_every_seed() -> None:
    rows = Row('all'), Row('w/o part', {PART: 0}), Row('id only', config=ID_ONLY)
    runs = plan(*rows, seeds=2, options={'log_level': 'ERROR', 'optim_wrapper.optimizer.lr': 1.0})
    assert [(run.name, run.seed, str(run.folder)) for run in runs] == [
        (name, seed, f'work/{folder}/seed{seed}')
        for seed in (0, 1)
        for name, folder in (('all', 'all'), ('w/o part', 'w_o_part'), ('id only', 'id_only'))
    ]
    parts = [run.config.model.losses.bridging[0].weight for run in runs if run.name != 'id only']
    assert parts == [0.8, 0] * 2
    assert [len(run.config.train_cfg.stages) for run in runs] == [3, 3, 1] * 2
    for run in runs:
        assert run.config.randomness.seed == run.seed
        assert (run.config.log_level, run.config.optim_wrapper.optimizer.lr) == ('ERROR', 1.0)
        assert run.beginning is None


def test_every_row_is_trained_without_each_held_out_source() -> None:
    rows, sources = (Row('all'), Row('without part', {PART: 0})), list_sources(TOY, {})
    assert sources == ['harbor', 'market', 'campus', 'station']
    runs = plan_runs(TOY, Grid(rows, 'prompt'), 2, Path('work'), {'islands': 'large'}, sources[2:])
    assert [(run.name, run.seed, run.held_out, str(run.folder)) for run in runs] == [
        (row.name, seed, source, f'work/{row.folder}/without_{source}/seed{seed}')
        for seed in (0, 1)
        for source in ('campus', 'station')
        for row in rows
    ]
    for run in runs:
        trained = [source.domain for source in run.config.train_dataloader.dataset.sources]
        assert sorted([*trained, run.held_out]) == sorted(sources)
        (target,) = run.config.val_dataloader.dataset.targets
        assert (target.type, target.source.domain, target.source.size) == ('HeldOutSource', run.held_out, 'large')
    # Rows share what they begin with, but sources and seeds do not.
    beginnings = [run.beginning.folder for run in runs]
    assert beginnings[::2] == beginnings[1::2]
    assert len(set(beginnings)) == 4


def test_a_held_out_source_in_the_environment_hides_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CMDG_HELD_OUT', 'harbor')
    assert list_sources(TOY, {}) == ['harbor', 'market', 'campus', 'station']


def test_a_config_that_would_look_at_a_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='held_out: the config has no held_out'):
        list_sources(str(REPOSITORY / 'configs/cmdg/cmdg_vit-base-p16_p1.py'), {})
    path = tmp_path / 'looks.py'
    path.write_text(f"""_base_ = {TOY!r}
others = [dict(type='IslandsSource', domain='metro')]
val_dataloader = dict(dataset=dict(targets=_base_.val_dataloader.dataset.targets + others))
""")
    message = "row 'x': with station held out, it is to be scored on that source alone, not on HeldOutSource, metro"
    with pytest.raises(ValueError, match=message):
        plan_runs(TOY, Grid((Row('all'), Row('x', config=str(path)))), 1, Path('work'), {}, ['station'])


def test_a_rows_own_option_comes_last() -> None:
    lr = 'optim_wrapper.optimizer.lr'
    (run,) = plan(Row('own', {lr: 2.0}), options={lr: 1.0})
    assert run.config.optim_wrapper.optimizer.lr == 2.0


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        (
            Row('x', {'model.losses.bridging.parts.weight': 0}),
            r"row 'x': .* no entry named parts \(did you mean part\?",
        ),
        (Row('x', {'optim_wrapper.optimiser.lr': 0}), r"row 'x': .*has no optimiser \(did you mean optimizer\?"),
        (Row('x', {'epochs': 0}), r"row 'x': .*the config has no epochs"),
    ],
)
def test_an_option_without_a_place_is_refused_before_anything_runs(row: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(Row('all'), row)


def test_a_missing_config_is_named_with_its_row() -> None:
    with pytest.raises(FileNotFoundError, match=r"row 'x': No config at none\.py"):
        plan(Row('x', config='none.py'))


def test_a_broken_config_is_named_with_its_row(tmp_path: Path) -> None:
    (tmp_path / 'broken.json').write_text('{')
    with pytest.raises(ValueError, match=r"row 'x': .*Expecting property name"):
        plan(Row('x', config=str(tmp_path / 'broken.json')))


def test_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match='--seeds must be at least 1, got 0'):
        plan(Row('x'), seeds=0)


def test_rows_that_are_alike_up_to_a_stage_share_it() -> None:
    slower = {'optim_wrapper.optimizer.lr': 1e-4}
    rows = {
        'all': Row('all'),
        'part': Row('part', {PART: 0}),
        'shorter': Row('shorter', {'train_cfg.stages.bridging.epochs': 3}),
        'slower': Row('slower', slower),
        'slower, part': Row('slower, part', {**slower, PART: 0}),
        # Nobody else begins like these two, and the last has no such stage.
        'warm-up': Row('warm-up', {'train_cfg.stages.warmup.epochs': 5}),
        'prompts only': Row('prompts only', {'train_cfg.stages.bridging.epochs': 0}),
        'id only': Row('id only', config=ID_ONLY),
    }
    runs = plan(*rows.values(), seeds=2, shared_until='prompt')
    beginnings = {(run.name, run.seed): run.beginning for run in runs}
    for seed in (0, 1):
        shared, other = beginnings['all', seed], beginnings['slower', seed]
        assert shared is beginnings['part', seed] is beginnings['shorter', seed]
        assert other is beginnings['slower, part', seed]
        assert shared.folder != other.folder
        assert [beginnings[name, seed] for name in ('warm-up', 'prompts only', 'id only')] == [None] * 3
        assert [stage.epochs for stage in shared.config.train_cfg.stages] == [10, 20, 0]
        assert shared.config.randomness.seed == seed
        assert shared.folder.parent.parent == Path('work/_shared')
    assert beginnings['all', 0].folder != beginnings['all', 1].folder
    # The folder goes by what is trained in it, not by who asks for it.
    (again, _) = plan(rows['part'], rows['all'], shared_until='prompt')
    assert again.beginning.folder == beginnings['all', 0].folder


def test_settings_that_only_later_stages_read_are_named() -> None:
    rows = Row('all'), Row('slow memory', {'model.memory.momentum': 0.1})
    assert [run.beginning for run in plan(*rows, shared_until='prompt')] == [None, None]
    runs = plan(*rows, shared_until='prompt', only_later=('model.memory',))
    assert runs[0].beginning is runs[1].beginning is not None


def test_an_unknown_shared_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="shared_until is 'prompts', but the stages are bridging, prompt, warmup"):
        plan(Row('all'), shared_until='prompts')


def test_a_row_that_goes_on_from_its_beginning_is_the_row_from_scratch(tiny_config: Config, tmp_path: Path) -> None:
    tiny_config.train_cfg.val_before_training = True
    tiny_config.default_hooks.results = {'type': 'ResultsHook'}
    path = tmp_path / 'tiny.py'
    path.write_text(tiny_config.pretty_text)
    grid = Grid((Row('all'), Row('other', {PART: 0, 'train_cfg.stages.bridging.epochs': 1})), 'prompt')
    run = plan_runs(str(path), grid, 2, tmp_path, {})[-1]
    train(run.beginning)
    continued = train(run, load_from=str(run.beginning.folder / 'epoch_5.pth'), resume=True)
    whole = train(Run('scratch', 1, run.config, tmp_path / 'scratch'))
    assert continued.epoch == whole.epoch == 6
    assert not different(continued.model.state_dict(), whole.model.state_dict())
    assert run.results_file.read_text() == (tmp_path / 'scratch/results.json').read_text()
    assert not list(run.folder.glob('epoch_[1-5].pth'))


def train(run: Run, **settings: Any) -> Runner:
    config = copy.deepcopy(run.config)
    config.merge_from_dict({'work_dir': str(run.folder), 'experiment_name': str(run.folder), **settings})
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def test_a_run_that_was_begun_with_other_settings_is_refused(tmp_path: Path) -> None:
    (before,) = plan(Row('x'), work_dir=tmp_path)
    before.folder.mkdir(parents=True)
    before.config.dump(before.config_file)
    (now,) = plan(Row('x', {PART: 0, 'model.memory.sharded': True}), work_dir=tmp_path)
    # It came to nothing, so nothing is lost.
    check_unchanged([now])
    for file in ('epoch_1.pth', 'results.json'):
        (before.folder / file).touch()
        check_unchanged([before])
        with pytest.raises(
            ValueError, match=r'losses\.bridging\.0\.weight: 0\.8, now 0; .*memory\.sharded: absent, now True\)'
        ):
            check_unchanged([now])
        (before.folder / file).unlink()


def test_results_of_unknown_settings_are_refused(tmp_path: Path) -> None:
    (run,) = plan(Row('x'), work_dir=tmp_path)
    run.folder.mkdir(parents=True)
    run.results_file.touch()
    with pytest.raises(ValueError, match=r'begun with other settings \(.*; and \d+ more\)'):
        check_unchanged([run])
