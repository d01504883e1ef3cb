"""Kafka to the outside: webhooks, WebSockets, event files."""
