"""What every process has: settings, logs, health, metrics, a place in its installation, an end in time."""
