"""Who may use Kafka: users, ACLs, what each plane needs."""
