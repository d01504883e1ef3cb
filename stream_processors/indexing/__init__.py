"""The ledger's agent: events, deliveries and attempts indexed into SQL."""
