curl --silent --show-error "$HEADRACE_URL/headrace/v1/events" \
  --header "Authorization: Bearer $HEADRACE_KEY" \
  --header "Content-Type: application/cloudevents+json" \
  --data '{"specversion": "1.0", "type": "quickstart.order", "source": "/curl", "data": {"orderId": "A-1", "total": 125.50}}'
