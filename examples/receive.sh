headrace receiver --port "${PORT:-3000}" --secret "$WEBHOOK_SECRET"
