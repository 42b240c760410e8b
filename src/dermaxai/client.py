"""The HTTP API from Python: small, typed, for scripts on this machine or another."""
