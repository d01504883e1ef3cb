"""Its pages, rendered on the server; every figure comes from our own API."""
