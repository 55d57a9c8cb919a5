"""Predictions in a file that is there whole or not at all."""

from typing import Any

from mmengine.evaluator import DumpResults

from cmdg_plugin.files.writing import dump_whole
from cmdg_plugin.saying import say


class WholeResults(DumpResults):
    """MMEngine's dump of all predictions, whose file takes its name once it is complete; arguments as MMEngine's."""

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Write the predictions; gives no scores."""
        dump_whole(results, self.out_file_path)
        say(f'Results: {self.out_file_path}')
        return {}
