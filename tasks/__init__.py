"""The tasks, one folder each, all with the same files. No task imports another."""
