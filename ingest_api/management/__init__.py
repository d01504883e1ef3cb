"""The framework of all routes that do not publish: a FastAPI app, its documents, pages, models."""
