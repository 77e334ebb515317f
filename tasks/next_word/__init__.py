"""Next word: one LSTM language model that suggests words, generates text and scores texts."""
