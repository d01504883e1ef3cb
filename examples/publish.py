import json
import os
from urllib.request import Request, urlopen

event = {
    "specversion": "1.0",
    "type": "quickstart.order",
    "source": "/python",
    "data": {"orderId": "A-2", "total": 125.50},
}
request = Request(
    os.environ["HEADRACE_URL"] + "/headrace/v1/events",
    data=json.dumps(event).encode(),
    headers={
        "Authorization": "Bearer " + os.environ["HEADRACE_KEY"],
        "Content-Type": "application/cloudevents+json",
    },
)
with urlopen(request) as answer:
    print(answer.status, answer.read().decode())
