"""One module per API family; each translates between its document's shapes and the domain model."""
