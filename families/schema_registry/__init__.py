"""The schema registry, as stock Confluent clients speak to it."""
