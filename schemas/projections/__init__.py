"""Projections: what of an event an endpoint is sent, as a JMESPath expression over its CloudEvent."""
