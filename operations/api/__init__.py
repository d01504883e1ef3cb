"""Calls of our own HTTP API."""
