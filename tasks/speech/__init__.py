"""Speech recognition: sound in, words out, whole or while it is being spoken."""
