"""Fraud: every card transaction scored as it comes, by the card's and the terminal's memory."""
