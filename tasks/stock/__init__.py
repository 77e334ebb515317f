"""Stock forecasting: an honest distribution of the prices of the coming days."""
