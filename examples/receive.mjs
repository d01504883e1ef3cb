import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace('whsec_', ''), 'base64')

function isSigned(headers, body) {
  const now = Date.now() / 1000
  if (!(Math.abs(now - Number(headers['webhook-timestamp'])) < 300)) return false
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const expected = createHmac('sha256', key).update(signed).digest()
  return (headers['webhook-signature'] ?? '').split(' ').some((each) => {
    const signature = Buffer.from(each.replace('v1,', ''), 'base64')
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  })
}

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray()).toString()
  const signed = isSigned(request.headers, body)
  if (signed) console.log('received', request.headers['webhook-id'], body)
  response.writeHead(signed ? 204 : 401).end()
}).listen(Number(process.env.PORT ?? 3000), '127.0.0.1')
