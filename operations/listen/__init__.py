"""A copy of what an endpoint is sent, for a server that is being written."""
