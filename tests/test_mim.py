"""What mim looks for inside the installed package: links in a clone, files in a wheel."""

import glob
from configparser import ConfigParser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / 'cmdg_plugin'


@pytest.mark.parametrize('name', ['configs', 'tools', 'model-index.yml'])
def test_mims_folder_links_to_the_repository(name: str) -> None:
    assert (PACKAGE / '.mim' / name).samefile(REPOSITORY / name)


def test_package_data_takes_every_config_tool_and_template() -> None:
    setup = ConfigParser()
    setup.read(REPOSITORY / 'setup.cfg')
    patterns = setup['options.package_data']['cmdg_plugin'].split()
    packed = {path for pattern in patterns for path in glob.glob(pattern, root_dir=PACKAGE, recursive=True)}
    there = {
        (Path('.mim') / path.relative_to(REPOSITORY)).as_posix()
        for folder in ('configs', 'tools')
        for path in (REPOSITORY / folder).rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }
    there |= {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob('*')
        if path.is_file() and path.suffix not in ('.py', '.pyc') and '.mim' not in path.parts
    }
    assert there <= packed
