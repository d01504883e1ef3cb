"""Deliveries to HTTP endpoints: requests, retries, ordered calls."""
