"""Acoustic Exchange events."""
