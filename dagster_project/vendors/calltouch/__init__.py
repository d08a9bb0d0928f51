"""Calltouch: the result of every SMS of a mailing, 10,000 a page."""
