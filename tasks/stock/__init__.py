"""Stock: forecasts the distribution of prices on the next trading days."""
