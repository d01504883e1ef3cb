"""The filter language: conditions over events, their operators, the fields they look at."""
