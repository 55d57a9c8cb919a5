"""Command lines: options laid over configs, checks before anything is built, errors in one line."""
