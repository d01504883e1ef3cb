const answer = await fetch(`${process.env.HEADRACE_URL}/headrace/v1/events`, {
  method: 'POST',
  headers: {
    Authorization: `Bearer ${process.env.HEADRACE_KEY}`,
    'Content-Type': 'application/cloudevents+json',
  },
  body: JSON.stringify({
    specversion: '1.0',
    type: 'quickstart.order',
    source: '/javascript',
    data: { orderId: 'A-3', total: 125.5 },
  }),
})
console.log(answer.status, await answer.text())
