"""The HTTP API and the page, on top of the store; no model is loaded in this process."""
