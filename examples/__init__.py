"""Programs of a few lines that use what the suite exports."""
