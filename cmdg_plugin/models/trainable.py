"""Which parameters a stage trains, by the words that its `trainable` holds."""

from collections.abc import Iterable, Mapping, Sequence

from cmdg_plugin.nested import has_prefix


def choose_trained(
    stage: str, words: Sequence[str], names: Iterable[str], meanings: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Find the parameters that a stage trains.

    Args:
        stage: Its name, for messages.
        words: What its `trainable` holds: a word that has a meaning, or the beginning of dotted names.
        names: All parameters that may be trained at all.
        meanings: Parameters by word, such as those of `image` and `text`.

    Raises:
        ValueError: If a word chooses nothing, or terms of the stage have parameters that none chooses.
    """
    names = list(names)
    trained: set[str] = set()
    for word in words:
        chosen = {name for name in names if name in meanings.get(word, ()) or has_prefix(name, word)}
        if not chosen:
            parts = sorted({*meanings, *('.'.join(name.split('.')[:2]) for name in names)})
            raise ValueError(
                f"Stage '{stage}' trains '{word}', but no trainable parameter's name begins so. "
                f'There are: {", ".join(parts)}.'
            )
        trained |= chosen
    left_out = [name for name in names if has_prefix(name, f'losses.{stage}') and name not in trained]
    if left_out:
        raise ValueError(
            f"Stage '{stage}' has loss terms with parameters that it does not train, such as {left_out[0]}: add "
            f"'losses.{stage}' to the stage's `trainable`."
        )
    return frozenset(trained)
