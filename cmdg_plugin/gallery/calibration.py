"""When nobody matches: thresholds on the best score of a query, learned from queries of people who are not there."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from cmdg_plugin.evaluation.open_set import identification_rate, learn_threshold
from cmdg_plugin.files.images import UnreadableImage
from cmdg_plugin.gallery.encoding import GalleryModel
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.filters import Comparison, Filter, Junction, Presence
from cmdg_plugin.gallery.scoring import Query
from cmdg_plugin.gallery.store import GalleryStore
from cmdg_plugin.saying import warn

MATCH, UNSURE, NOBODY = 'match', 'unsure', 'nobody'


@dataclass(frozen=True)
class Threshold:
    """What was learned for one kind of query.

    Attributes:
        match: From this score on, a best match counts as one.
        unsure: From this score on, it may be one; below it, nobody matches.
        match_rate: Fraction of queries for absent people whose best score reaches `match`, at most.
        unsure_rate: Fraction of them whose best score reaches `unsure`, at most.
        found: Fraction of queries for people who are there whose best match is theirs and reaches `match`; NaN where
            there were none.
        absent: Number of queries for absent people.
        present: Number of queries for people who are there.
        entries: Number of entries of the gallery then.
    """

    match: float
    unsure: float
    match_rate: float
    unsure_rate: float
    found: float
    absent: int
    present: int
    entries: int

    def to_dict(self) -> dict[str, float | None]:
        """What a file holds of it."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def judge(score: float | None, threshold: Mapping[str, float]) -> str:
    """Say what a best score means.

    Args:
        score: The best score of a query; None where nothing passed the filter.
        threshold: With `match` and `unsure`, see `Threshold`.

    Returns:
        `match`, `unsure` or `nobody`.
    """
    if score is None or score < threshold['unsure']:
        return NOBODY
    return MATCH if score >= threshold['match'] else UNSURE


@dataclass
class _Scores:
    """Best scores of one kind of query."""

    absent: list[float] = field(default_factory=list)
    present: list[tuple[float, float]] = field(default_factory=list)


def calibrate_store(
    store: GalleryStore,
    model: GalleryModel,
    probes: Iterable[Entry],
    match_rate: float,
    unsure_rate: float,
    strangers: bool = False,
) -> dict[str, Threshold]:
    """Learn thresholds for images and for sentences.

    Each labelled image is a query, and so is its caption. The best score among entries that do not show its person is
    what a query for an absent person gets; entries of its person that are the same file, or of the same camera, do
    not count as matches.

    Args:
        store: The gallery's entries.
        model: Its model.
        probes: Images with identities; the others are left out and counted.
        match_rate: Fraction of queries for absent people that may be called a match.
        unsure_rate: Fraction of them that may be called at least unsure, no less than `match_rate`.
        strangers: Whether none of these people is in the gallery, even where identities have the same name.

    Returns:
        By kind, `image` and `text`, what was learned; `text` is not there without enough captions.

    Raises:
        ValueError: If the rates are not such, or there are too few images.
    """
    if not 0 < match_rate <= unsure_rate < 1:
        raise ValueError(
            f'Rates are between 0 and 1, that of a match no higher than that of unsure; got {match_rate} and '
            f'{unsure_rate}.'
        )
    scores = {'image': _Scores(), 'text': _Scores()}
    left_out = 0
    for probe in probes:
        if probe.identity is None:
            left_out += 1
            continue
        if strangers:
            probe = replace(probe, identity=None)
        try:
            _score(store, Query(model.encode_queries([probe.path]), None), probe, scores['image'])
        except (UnreadableImage, FileNotFoundError):
            left_out += 1
            continue
        if probe.caption:
            _score(store, Query(None, model.encode_sentence(probe.caption)), probe, scores['text'])
    if left_out:
        warn(f'{left_out:,} images are left out: nobody says who is in them, or they cannot be read.')
    if not scores['image'].absent:
        raise ValueError('There are no labelled images to calibrate with, or no entries of other people.')
    entries = store.count()
    learned = {'image': _learn(scores['image'], match_rate, unsure_rate, entries)}
    if scores['text'].absent:
        try:
            learned['text'] = _learn(scores['text'], match_rate, unsure_rate, entries)
        except ValueError as error:  # a few captions do not keep images from being calibrated
            warn(f'Sentences are not calibrated. {error}')
    return learned


def _score(store: GalleryStore, query: Query, probe: Entry, scores: _Scores) -> None:
    who = probe.identity
    others: Filter | None = None
    if who is not None:
        others = Junction((Presence('identity', False), Comparison('identity', '!=', who)), every=False)
    best = _best(store, query, others)
    if best is None:
        return
    scores.absent.append(best)
    if who is None:
        return
    same: list[Filter] = [Comparison('identity', '==', who), Comparison('path', '!=', probe.path)]
    if probe.camera is not None:
        elsewhere = (Presence('camera', False), Comparison('camera', '!=', probe.camera))
        same.append(Junction(elsewhere, every=False))
    own = _best(store, query, Junction(tuple(same), every=True))
    if own is not None:
        scores.present.append((own, best))


def _best(store: GalleryStore, query: Query, where: Filter | None) -> float | None:
    found, _ = store.search(query, where, 1)
    return found[0][1] if found else None


def _learn(scores: _Scores, match_rate: float, unsure_rate: float, entries: int) -> Threshold:
    match, unsure = (learn_threshold(scores.absent, rate) for rate in (match_rate, unsure_rate))
    own, others = [own for own, _ in scores.present], [other for _, other in scores.present]
    found = identification_rate(own, others, match)
    return Threshold(match, unsure, match_rate, unsure_rate, found, len(scores.absent), len(own), entries)
