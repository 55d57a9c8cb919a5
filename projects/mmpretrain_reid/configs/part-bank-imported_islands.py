"""The same as `part-bank_islands.py`, with the plugin among `custom_imports`, as some projects prefer it."""

_base_ = ['./part-bank_islands.py']

# A child's list replaces its base's: name your own module again.
custom_imports = dict(imports=['part_bank_reid', 'cmdg_plugin.models', 'cmdg_plugin.datasets'])
