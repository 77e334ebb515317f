"""Next word: suggestions, text and scores from one LSTM language model."""
