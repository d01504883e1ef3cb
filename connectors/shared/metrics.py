"""Help texts of metrics that every connector has."""

REPLACED = "Kafka consumers that got nothing although there was something to read."

FORGED = "Records of the catalog that nobody with the secret keys wrote: an alert."
