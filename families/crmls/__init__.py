"""CRMLS EventGateway."""
