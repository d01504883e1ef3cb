"""Figures of the installation, and what operators change by them."""
