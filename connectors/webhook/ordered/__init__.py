"""Ordered deliveries: all endpoints of one event, group after group, each called once with a request of its own."""
