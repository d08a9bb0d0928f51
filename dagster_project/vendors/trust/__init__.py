"""Trust: statistics of push campaigns by company."""
