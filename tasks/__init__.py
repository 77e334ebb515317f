"""The tasks, one package each, all with the same files. No task imports another."""
