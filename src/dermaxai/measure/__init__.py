"""How far to trust what is shown: known answers, baselines, intervals."""
