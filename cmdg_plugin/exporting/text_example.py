"""Compare a picture with sentences by two exported files; takes onnxruntime, tokenizers, numpy and Pillow alone.

python FILE IMAGE_MODEL.onnx TEXT_MODEL.onnx TOKENIZER.json PICTURE SENTENCE [SENTENCE ...]
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image
from tokenizers import Tokenizer


def main(image_model: str, text_model: str, tokenizer: str, picture: str, *sentences: str) -> None:
    """Print the similarity of the picture with each sentence."""
    images, texts = onnxruntime.InferenceSession(image_model), onnxruntime.InferenceSession(text_model)
    expected = images.get_modelmeta().custom_metadata_map
    height, width = json.loads(expected['img_size'])
    pixels = np.asarray(Image.open(picture).convert('RGB').resize((width, height), Image.Resampling.BICUBIC), 'float32')
    mean, std = (np.array(json.loads(expected[name]), 'float32') for name in ('input_mean', 'input_std'))
    (image,) = images.run(None, {'images': ((pixels - mean) / std).transpose(2, 0, 1)[None]})[0]
    tokens = [encoding.ids for encoding in Tokenizer.from_file(tokenizer).encode_batch(list(sentences))]
    features = texts.run(None, {'tokens': np.array(tokens, 'int64')})[0]
    shared = image[-features.shape[1] :]
    for sentence, similarity in zip(sentences, features @ (shared / np.linalg.norm(shared)), strict=True):
        sys.stdout.write(f'{similarity:.3f}  {sentence}\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
