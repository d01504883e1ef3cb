"""Traces of events: spans that are sent by OTLP, off unless a setting turns them on."""
