"""Envoy event streaming."""
