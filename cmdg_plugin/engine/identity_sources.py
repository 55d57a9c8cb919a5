"""Whether features of identities can be had in a stage."""

from typing import Any

from cmdg_plugin.regions import GLOBAL


def check_source(source: str, owner: str, stage: str, dataset: Any, prompts_learned: bool) -> None:
    """Refuse features of identities that will not be there, before anything is trained.

    Args:
        source: Where they come from, as `identity_features` takes it.
        owner: Who asks for them, for messages.
        stage: Name of the stage in which they are asked for.
        dataset: The training set.
        prompts_learned: Whether a stage before it learns prompts, or the weights may bring them.

    Raises:
        ValueError: If prompts are not learned before, or an image has no caption.
    """
    if source == 'prompts' and not prompts_learned:
        raise ValueError(
            f"{owner} of stage '{stage}' compares identities by their prompts, which no stage has learned before it: "
            "run the stage 'prompt' first, start from its checkpoint with load_from, or take 'captions'."
        )
    if source == 'captions':
        captions = dataset.captions
        bare = sum(not row[GLOBAL].strip() for row in captions)
        if bare:
            raise ValueError(
                f"{owner} of stage '{stage}' compares identities by their captions, but {bare:,} of {len(captions):,} "
                'training images have none and would look alike for that: caption them, or leave them out with '
                "on_missing='skip'."
            )
