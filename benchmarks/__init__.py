"""Speed and memory of the suite beside what else a user could run; see README.md for the commands."""
