"""What every task stands on, one module a concern. Nothing here imports `tasks`."""
