"""Command lines: options laid over configs, checks before anything is built, errors in one line."""

from cmdg_plugin.threads import let_threads_sleep

# Here, as the tools pass here before they import torch.
let_threads_sleep()
