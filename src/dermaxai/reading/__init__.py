"""Readers and their judgements: regions, blind reading, agreement, export."""
