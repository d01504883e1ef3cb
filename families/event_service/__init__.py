"""The GraphQL event service."""
