"""The commands of `dermaxai`, one module per command or family; each imports what is heavy when it runs."""
