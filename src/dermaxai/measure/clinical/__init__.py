"""Metrics of what captions state: diagnoses, findings and measured facts against what is known."""
