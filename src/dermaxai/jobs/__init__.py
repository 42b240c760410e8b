"""What is to be done for cases: a queue in the store, and the worker that empties it."""
