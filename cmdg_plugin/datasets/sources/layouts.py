"""Where public datasets may lie below the data root: in layouts of the release, of torchreid, of text search."""

from cmdg_plugin.datasets.sources.benchmark import Layout

_CUHK03_LINKS = tuple(
    (f'cuhk03/{name}', name)
    for name in (
        'images_labeled',
        'images_detected',
        'cuhk03_release',
        'cuhk03_new_protocol_config_labeled.mat',
        'cuhk03_new_protocol_config_detected.mat',
        'splits_classic_labeled.json',
        'splits_classic_detected.json',
        'splits_new_labeled.json',
        'splits_new_detected.json',
    )
)
_CUHK03_FILES = (
    'cuhk03_release/cuhk-03.mat',
    'cuhk03_new_protocol_config_labeled.mat',
    'cuhk03_new_protocol_config_detected.mat',
)


def _alike(
    shows: tuple[tuple[str, str], ...], link: str, *places: tuple[str, str], needs: tuple[str, ...] = ()
) -> tuple[Layout, ...]:
    """Describe a dataset that looks the same wherever it lies.

    Args:
        shows: What it contains, see `Layout`.
        link: Where torchreid's reader wants to find its folder, below its own root.
        *places: Kinds of its layouts, each with its folder.
        needs: Files without which torchreid's reader cannot work.
    """
    return tuple(Layout(kind, folder, shows, links=((link, ''),), needs=needs) for kind, folder in places)


def _msmt17(kind: str, folder: str, version: str, names: tuple[str, str] = ('train', 'test')) -> Layout:
    lists = tuple(f'list_{role}.txt' for role in ('train', 'val', 'query', 'gallery'))
    shows = (
        (f'{names[0]}/', '0000/0000_000_01_0303morning_0008_0.jpg, ...  (32,621 images)'),
        (f'{names[1]}/', '0000/0000_000_02_0303morning_0015_0.jpg, ...  (93,820 images)'),
        *((name, '') for name in lists),
    )
    # torchreid knows version 2 by its folder names alone, so the link follows these.
    link = 'msmt17/MSMT17_V1' if names[0] == 'train' else 'msmt17/MSMT17_V2'
    return Layout(kind, folder, shows, links=((link, ''),), needs=lists, version=version)


def _cuhk03(version: str) -> Layout:
    images = '14,096' if version == 'labeled' else '14,097'
    shows = (
        (f'images_{version}/', f'1_001_1_01.png, ...  ({images} images)'),
        *((name, 'unless the caption file is the index') for name in _CUHK03_FILES),
    )
    return Layout(
        'release = torchreid',
        'cuhk03',
        shows,
        links=_CUHK03_LINKS,
        needs=_CUHK03_FILES,
        version=version,
        only=f'images_{version}',
        options=(('cuhk03_labeled', version == 'labeled'),),
    )


def _text(folder: str, caption_file: str, images: str) -> Layout:
    return Layout('original', folder, (('imgs/', images), (caption_file, '')), only='imgs')


_VIPER_RELEASE = Layout(
    'release',
    'VIPeR',
    (
        ('split_1a/train/', 'p336_c2_d180.png, ...  (632 images)'),
        ('split_1a/query/', 'p819_c1_d000.png, ...  (316 images)'),
        ('split_1a/gallery/', 'p697_c2_d090.png, ...  (316 images)'),
    ),
)
_VIPER_OWN = (('cam_a/', '000_45.bmp, ...  (632 images)'), ('cam_b/', '000_180.bmp, ...  (632 images)'))

_ILIDS_RELEASE = (('images/', '0056001.jpg, ...  (476 images)'),)
_ILIDS_OWN = (('Persons/', '0056001.jpg, ...  (476 images)'),)
_ILIDS_PLACE = 'ilids/i-LIDS_Pedestrian'
_ILIDS_LISTING = ('ilids/splits.json', f'{_ILIDS_PLACE}/Persons')

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    'market1501': _alike(
        (
            ('bounding_box_train/', '0002_c1s1_000451_03.jpg, ...  (12,936 images)'),
            ('query/', '0001_c1s1_001051_00.jpg, ...  (3,368 images)'),
            ('bounding_box_test/', '0000_c1s1_000151_01.jpg, ...  (19,732 images, junk included)'),
        ),
        'market1501/Market-1501-v15.09.15',
        ('torchreid', 'market1501/Market-1501-v15.09.15'),
        ('release', 'market1501'),
    ),
    'msmt17': (
        _msmt17('release', 'MSMT17_V1', 'MSMT17_V1'),
        _msmt17('torchreid', 'msmt17/MSMT17_V1', 'MSMT17_V1'),
        _msmt17('release', 'MSMT17_V2', 'MSMT17_V2', ('mask_train_v2', 'mask_test_v2')),
        _msmt17('torchreid', 'msmt17/MSMT17_V2', 'MSMT17_V2', ('mask_train_v2', 'mask_test_v2')),
        _msmt17('release', 'MSMT17_V2', 'MSMT17_V2'),
    ),
    'cuhk03': (_cuhk03('labeled'), _cuhk03('detected')),
    'cuhk02': _alike(
        tuple((f'P{pair}/', 'cam1/*.png, cam2/*.png') for pair in range(1, 6)),
        'cuhk02/Dataset',
        ('torchreid', 'cuhk02/Dataset'),
        ('release', 'cuhk02'),
    ),
    'cuhksysu': _alike(
        (('cropped_images/', 'p11422_s16929_1.jpg, ...  (34,574 images)'),),
        'cuhksysu',
        ('release', 'CUHK-SYSU'),
        ('torchreid', 'cuhksysu'),
    ),
    'prid': _alike(
        (
            ('single_shot/cam_a/', 'person_0001.png, ...'),
            ('single_shot/cam_b/', 'person_0001.png, ...  (749 images)'),
        ),
        'prid2011/prid_2011',
        ('release', 'prid_2011'),
        ('torchreid', 'prid2011/prid_2011'),
    ),
    'grid': _alike(
        (
            ('probe/', '0001_1_25004_107_32_106_221.jpeg, ...  (250 images)'),
            ('gallery/', '0000_1_25023_115_75_85_218.jpeg, ...  (1,025 images)'),
            ('features_and_partitions.mat', 'unless the caption file is the index'),
        ),
        'grid/underground_reid',
        ('torchreid', 'grid/underground_reid'),
        ('release', 'grid'),
        needs=('features_and_partitions.mat',),
    ),
    'viper': (_VIPER_RELEASE, Layout('torchreid', 'viper/VIPeR', _VIPER_OWN, links=(('viper/VIPeR', ''),))),
    'ilids': (
        Layout('release', 'QMUL-iLIDS', _ILIDS_RELEASE, links=((_ILIDS_LISTING[1], 'images'),), listing=_ILIDS_LISTING),
        Layout('torchreid', _ILIDS_PLACE, _ILIDS_OWN, links=((_ILIDS_PLACE, ''),), listing=_ILIDS_LISTING),
    ),
    'cuhk-pedes': (
        _text('CUHK-PEDES', 'reid_raw.json', 'CUHK01/, CUHK03/, Market/, cam_a/, test_query/, ...  (40,206 images)'),
    ),
    'icfg-pedes': (_text('ICFG-PEDES', 'ICFG-PEDES.json', 'train/0000/*.jpg, test/0627/*.jpg, ...  (54,522 images)'),),
    'rstpreid': (_text('RSTPReid', 'data_captions.json', '0000_c14_0031.jpg, ...  (20,505 images)'),),
}
"""Where each dataset may lie, in the order in which places are tried; the last three are for text search."""
