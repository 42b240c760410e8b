"""A captioner from a manifest: recipe, batches, loop, checkpoints, run page.

Read in this order: sections, recipe, checking, assembling (what is asked for, whether it is there, put
together); batches, texts, sources, material (what a step sees); steps, loop (what it does); checkpoints,
journal (what stays).
"""
