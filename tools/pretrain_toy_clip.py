"""Pretrain the toy CLIP that ships with the project, write its three files, and score it.

    python tools/pretrain_toy_clip.py --amp

It is trained contrastively on drawn people who are in none of the benchmark's domains, in styles that are none of its
domains' (`pretraining.elsewhere`); a picture is paired with its own captions, identities play no part. Pictures and the
state of the training are kept in `--work-dir`: the same command goes on after an interruption, and only scores what is
complete. The weights that ship are this command's, with `--threads 1`: 640,000 samples, 58 minutes on a core that
multiplies bfloat16; without `--amp` about twice that. What they know: docs/benchmarks.md. Their vocabulary was learned
with `--new-vocabulary`; without it, whatever is trained fits the model as it ships:

    python tools/pretrain_toy_clip.py --amp --images 12000 --steps 400 --out weaker
    python tools/train.py CONFIG --cfg-options model.backbone.pretrained=weaker/cmdg-toy-vit.safetensors
"""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import open_clip
import torch
from mmengine.logging import print_log
from pretraining.byte_pairs import learn_merges, write_merges
from pretraining.elsewhere import UNSEEN_SEED, Elsewhere
from pretraining.learner import Learner, Recipe
from pretraining.scores import score_islands, score_pairs
from safetensors.torch import save

from cmdg_plugin.cli.one_line_errors import OneLineErrors
from cmdg_plugin.files.hashing import hash_file
from cmdg_plugin.files.writing import open_whole_bytes, write_whole
from cmdg_plugin.models.backbones.shipped_models import SHIPPED_MODELS
from cmdg_plugin.progress import track

NAME = 'cmdg-toy-vit'
VOCABULARY = 'cmdg-toy-bpe.txt.gz'
PROMPT = 'A photo of a person.'
MAX_MERGES = 1000
IMAGE_SIZE = (96, 48)
CONFIG = {
    'embed_dim': 96,
    'vision_cfg': {'image_size': list(IMAGE_SIZE), 'layers': 5, 'width': 128, 'head_width': 32, 'patch_size': 8},
    'text_cfg': {'context_length': 77, 'width': 128, 'heads': 4, 'layers': 3},
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Pretrain the toy CLIP that ships with the project')
    parser.add_argument('--out', type=Path, default=SHIPPED_MODELS[NAME].config.parent, help='folder for its files')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/pretraining'), help='folder for pictures and unfinished work'
    )
    parser.add_argument('--images', type=int, default=96_000, help='number of pictures to draw')
    parser.add_argument('--unseen', type=int, default=1_000, help='number of pictures to score on')
    parser.add_argument('--steps', type=int, default=5_000, help='number of batches')
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--lr', type=float, default=1e-3, help='highest learning rate')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=2, help='CPU threads, and processes that draw')
    parser.add_argument('--save-every', type=int, default=100, help='batches between two states on disk')
    parser.add_argument('--amp', action='store_true', help='train in bfloat16, where the CPU has it twice as fast')
    parser.add_argument(
        '--new-vocabulary',
        action='store_true',
        help='learn the vocabulary from the captions; the weights then go with it, and nothing else takes them',
    )
    parser.add_argument('--islands', default='data/islands', help='folder of Islands, drawn where it is missing')
    return parser.parse_args()


def write_vocabulary(path: Path, texts: list[str], new: bool) -> None:
    """Write the vocabulary that ships, or one learned from these texts, unless it is there.

    Raises:
        ValueError: If another one is there than ships, and no new one was asked for.
    """
    shipped = SHIPPED_MODELS[NAME].vocabulary
    if new and not path.is_file():
        write_merges(learn_merges([PROMPT, *texts], MAX_MERGES), path)
    elif not new and shipped is not None:
        # The model reads text by the vocabulary that ships, whatever its weights: with another, it would misread all.
        if path.is_file() and path.read_bytes() != shipped.read_bytes():
            raise ValueError(
                f'{path} is another vocabulary than ships: go on with --new-vocabulary, or name another --work-dir.'
            )
        write_whole(path, shipped.read_bytes())


def build_model(folder: Path) -> tuple[open_clip.CLIP, open_clip.SimpleTokenizer]:
    """Write the configuration, and build the untrained model from it as any user of open_clip would."""
    vocabulary = folder / VOCABULARY
    tokenizer = open_clip.SimpleTokenizer(bpe_path=str(vocabulary))
    config = {**CONFIG, 'text_cfg': {**CONFIG['text_cfg'], 'vocab_size': tokenizer.vocab_size}}  # type: ignore[dict-item]
    path = folder / f'{NAME}.json'
    write_whole(path, json.dumps(config, indent=4) + '\n')
    open_clip.add_model_config(path)
    return open_clip.create_model(NAME), tokenizer


def train(learner: Learner, settings: dict[str, object], state: Path, save_every: int) -> None:
    """Train from the state on disk, if there is one, to the end.

    Raises:
        ValueError: If the state is that of a training with other settings.
    """
    if state.is_file():
        found = torch.load(state, weights_only=True)
        if found['settings'] != settings:
            raise ValueError(
                f'{state} belongs to a training with {found["settings"]}, but {settings} is asked for. '
                'Name another --work-dir, or delete the file.'
            )
        learner.load_state(found['learner'])
    steps = range(learner.step + 1, learner.recipe.steps + 1)
    recent: list[dict[str, float]] = []
    for step in track(steps, 'Pretraining', total=len(steps)):
        recent.append(learner.advance())
        if step % save_every == 0 or step == steps[-1]:
            with open_whole_bytes(state) as file:
                torch.save({'settings': settings, 'learner': learner.state()}, file)
            means = ', '.join(f'{name} {np.mean([losses[name] for losses in recent]):.3f}' for name in recent[0])
            print_log(f'Step {step} of {steps[-1]}: {means}', logger='current')
            recent.clear()


def pack_weights(model: torch.nn.Module, vocabulary: Path) -> bytes:
    """Write weights as safetensors in half precision, which say the vocabulary that they go with."""
    tensors = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    return save(tensors, {'vocabulary': hash_file(vocabulary)})


def main() -> None:
    """Pretrain, and say what cannot be done in one line."""
    args = parse_args()
    with OneLineErrors(sys.argv[0]):
        pretrain(args)


def pretrain(args: argparse.Namespace) -> None:
    """Draw, learn the vocabulary, train, write the weights in half precision, and score them.

    Raises:
        ValueError: If the seed is that of the pictures to score on, or what is in the work folder of another training.
    """
    if args.seed == UNSEEN_SEED:
        raise ValueError(f'--seed {args.seed} is that of the pictures to score on; take another one.')
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    pairs, unseen = (
        Elsewhere(count, IMAGE_SIZE, seed, args.work_dir).load(args.threads)
        for count, seed in ((args.images, args.seed), (args.unseen, UNSEEN_SEED))
    )
    texts = [text for captions in pairs.captions for text in captions]
    write_vocabulary(args.work_dir / VOCABULARY, texts, args.new_vocabulary)
    model, tokenizer = build_model(args.work_dir)
    tokens = tokenizer(texts).view(args.images, 4, -1)
    images = torch.from_numpy(pairs.images).permute(0, 3, 1, 2).contiguous()
    recipe = Recipe(args.steps, args.batch_size, args.lr, seed=args.seed)
    learner = Learner(model, images, tokens, recipe, bfloat16=args.amp)
    train(learner, {**asdict(recipe), 'images': args.images}, args.work_dir / 'state.pth', args.save_every)
    weights = args.out / f'{NAME}.safetensors'
    write_whole(weights, pack_weights(model, args.work_dir / VOCABULARY))
    for name in (VOCABULARY, f'{NAME}.json'):
        write_whole(args.out / name, (args.work_dir / name).read_bytes())
    # Scored as the model that they make together.
    SHIPPED_MODELS[NAME] = replace(SHIPPED_MODELS[NAME], vocabulary=args.out / VOCABULARY)
    print_log(f'Wrote {weights}: {weights.stat().st_size / 2**20:.1f} MiB.', logger='current')
    found = score_pairs(model.eval(), unseen, tokenizer([captions[0] for captions in unseen.captions]))
    found |= score_islands(weights, args.islands)
    print_log('\n'.join(f'{name}: {value:.1f}' for name, value in found.items()), logger='current')


if __name__ == '__main__':
    main()
