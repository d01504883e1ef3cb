"""Deliveries to event files."""
