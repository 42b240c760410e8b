"""Concepts a photo may show, as a tree: names, plain definitions and synonyms in English and Russian.

Start with `tree.read_tree`; `glossary` answers for Russian words, `wordnet` reads a local WordNet.
"""
