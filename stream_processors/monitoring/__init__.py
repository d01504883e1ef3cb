"""Watches the cluster: rates, sizes and lag of topics and consumer groups."""
