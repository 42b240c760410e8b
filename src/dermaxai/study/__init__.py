"""A whole comparison from one file: encoders, captioners, methods, datasets and metrics, resumable."""
