"""Fraud: scores each card transaction in real time, from the state of the card and the labelled history of the terminal."""
