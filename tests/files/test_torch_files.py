import zipfile
from pathlib import Path

import pytest

from cmdg_plugin.files.torch_files import check_archive


def test_a_sound_archive_names_its_parts_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('one', b'first')
        archive.writestr('two', b'second')
    assert check_archive(path, 'Copy it again.') == ['one', 'two']
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b'second', b'sekond'))
    with pytest.raises(ValueError, match=r'a\.zip is damaged: the checksum of two in it is wrong\. Copy it again\.'):
        check_archive(path, 'Copy it again.')
    path.write_bytes(sound[:-9])
    with pytest.raises(ValueError, match=r'a\.zip is damaged or incomplete \(.*\)\. Copy it again\.'):
        check_archive(path, 'Copy it again.')
