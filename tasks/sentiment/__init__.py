"""Sentiment: classification of texts of any kind, with calibrated probabilities."""
