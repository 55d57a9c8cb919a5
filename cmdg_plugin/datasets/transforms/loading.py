"""Image files into pixels, the same way in every pipeline."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.image.io import imread_flags
from mmengine import fileio
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS

from cmdg_plugin.files.images import UnreadableImage, blaming, check_regular, decode_image, read_image, to_bytes
from cmdg_plugin.registry import TRANSFORMS

_NAME = 'LoadImageFromFile'


@TRANSFORMS.register_module()
class LoadImageFromFile(mmcv.transforms.LoadImageFromFile):
    """mmcv's transform of that name, reading by `cmdg_plugin.files.images`.

    16-bit images become 8-bit ones by value; what cannot be read, or holds values of unknown range, is an
    `UnreadableImage` that names the file. The pixels of 8-bit images are those of mmcv's.

    Args:
        to_float32: Whether the pixels are float32 rather than bytes.
        color_type: `color` (BGR) or `grayscale`; other backends than Pillow take mmcv's further ones.
        imdecode_backend: Pillow, which refuses truncated files, unless another one of mmcv's is named (OpenCV returns
            such files half gray without a word).
        file_client_args: As mmcv's.
        ignore_empty: Whether to give None, which makes MMEngine's datasets take another image, where an image cannot
            be read.
        backend_args: As mmcv's, for images that are not files of this machine.

    Raises:
        ValueError: If Pillow shall give another `color_type`.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'pillow',
        file_client_args: dict | None = None,
        ignore_empty: bool = False,
        *,
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(
            to_float32, color_type, imdecode_backend, file_client_args, ignore_empty, backend_args=backend_args
        )
        if imdecode_backend == 'pillow' and color_type not in ('color', 'grayscale'):
            raise ValueError(
                f"{_NAME} reads color_type 'color' or 'grayscale' with Pillow, not {color_type!r}; "
                "imdecode_backend='cv2' reads others."
            )

    def transform(self, results: dict) -> dict | None:
        """Read `results['img_path']`; adds `img` (H, W, 3) or (H, W), `img_shape` and `ori_shape`.

        Raises:
            UnreadableImage: If the image cannot be read, unless `ignore_empty`.
            OSError: If the machine or the network is to blame.
        """
        path = os.fspath(results['img_path'])
        try:
            pixels = self._read_with_pillow(path) if self.imdecode_backend == 'pillow' else self._read_otherwise(path)
        except UnreadableImage:
            if self.ignore_empty:
                return None
            raise
        results['img'] = pixels.astype(np.float32) if self.to_float32 else pixels
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        return results

    def _read_with_pillow(self, path: str) -> np.ndarray:
        image = read_image(path) if self._is_local(path) else decode_image(self._fetch(path), path)
        if self.color_type == 'grayscale':
            return np.array(image.convert('L'))
        return np.array(image)[..., ::-1]

    def _read_otherwise(self, path: str) -> np.ndarray:
        flag: Any = self.color_type
        if self.imdecode_backend == 'cv2':
            # Or OpenCV makes bytes of any number, floats too.
            flag = imread_flags[flag] | cv2.IMREAD_ANYDEPTH
        content = self._fetch(path)
        with blaming(path, AssertionError, cv2.error):
            pixels = mmcv.imfrombytes(content, flag, backend=self.imdecode_backend)
            if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
                what = 'no image' if pixels is None else f'{pixels.dtype} values, whose range is not known'
                raise UnreadableImage(f'The image {path} cannot be read: {self.imdecode_backend} finds {what}.')
        return to_bytes(pixels) if pixels.dtype == np.uint16 else pixels

    def _is_local(self, path: str) -> bool:
        return isinstance(self._backend(path), fileio.LocalBackend)

    def _fetch(self, path: str) -> bytes:
        if self._is_local(path):
            with blaming(path):
                check_regular(path)
                return self._backend(path).get(path)
        try:
            return self._backend(path).get(path)
        except OSError as error:
            raise OSError(f'The image {path} cannot be fetched ({error}).') from error

    def _backend(self, path: str) -> Any:
        if self.file_client_args is not None:
            return fileio.FileClient.infer_client(self.file_client_args, path).client
        return fileio.get_file_backend(path, backend_args=self.backend_args, enable_singleton=True)


def read_our_way(pipeline: Sequence[Mapping[str, Any] | Callable]) -> list[Any]:
    """Put this plugin's `LoadImageFromFile` in the place of mmcv's, which other scopes find under that name.

    Returns:
        The same, where `LoadImageFromFile` means mmcv's with `cmdg_plugin.LoadImageFromFile`.
    """
    return [
        {**transform, 'type': f'cmdg_plugin.{_NAME}'}
        if isinstance(transform, Mapping) and _is_of_mmcv(transform.get('type'))
        else transform
        for transform in pipeline
    ]


def _is_of_mmcv(kind: Any) -> bool:
    if isinstance(kind, str) and kind.endswith(_NAME):
        with ROOT_TRANSFORMS.switch_scope_and_registry(None) as registry:
            kind = registry.get(kind)
    return kind is mmcv.transforms.LoadImageFromFile
