"""One domain of Identity Islands, the benchmark that the project draws itself."""

from pathlib import Path

from cmdg_plugin.datasets.sources.caption_file_source import CaptionFileSource
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.registry import SOURCES


@SOURCES.register_module()
class IslandsSource:
    """One domain of Identity Islands; made on first use, then read as any dataset with a caption file.

    Args:
        domain: Name of the domain.
        root: Folder of the benchmark.
        seed: Seed that the benchmark is drawn from.
        size: `small`, or `large` for studies.
    """

    index_version = 1

    def __init__(self, domain: str, root: str = 'data/islands', seed: int = 0, size: str = 'small') -> None:
        self.name = domain
        self.root = Path(root).expanduser()
        self.seed = seed
        self.size = size

    def load(self) -> SourceIndex:
        """Make the benchmark if it is not there, then index the domain.

        Raises:
            ValueError: If there is no such domain or size.
        """
        # Drawing needs more than reading does; nobody else should pay for its imports.
        from cmdg_plugin.islands import build_islands, find_size

        domains = find_size(self.size).domains
        if self.name not in domains:
            raise ValueError(f'Identity Islands has no domain {self.name!r}; expected one of {", ".join(domains)}.')
        root = Path(build_islands(self.root, seed=self.seed, size=self.size))
        return CaptionFileSource(self.name, str(root / self.name), str(root / f'{self.name}.json')).load()
