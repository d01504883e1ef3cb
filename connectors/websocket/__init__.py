"""Deliveries to WebSocket clients, in the Centrifugo client protocol."""
