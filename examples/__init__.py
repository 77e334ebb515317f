"""Short programs that use exported models or prepare data."""
