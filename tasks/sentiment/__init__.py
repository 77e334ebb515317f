"""Sentiment: text in, a label and its calibrated probability out."""
