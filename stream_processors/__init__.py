"""Kafka to Kafka: the router that matches events to subscriptions and the agent that feeds the ledger."""
