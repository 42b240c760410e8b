"""Captions, explanations and encoders over a whole dataset: tables, figures, comparisons, pages."""
