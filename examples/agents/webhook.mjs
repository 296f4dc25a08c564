// A receiver for `listen --webhook`: checks the signature as Standard Webhooks says, then prints who wrote.
//
//   node examples/agents/webhook.mjs KEY_FILE
//   synaptic-mesh p2p listen --webhook http://127.0.0.1:PORT/
//
// KEY_FILE is the one that `listen --webhook` names: webhook.secret in the state folder of the profile.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const key = Buffer.from(readFileSync(process.argv[2], 'utf8').trim().slice('whsec_'.length), 'base64')
const seen = new Set()

function isGenuine(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' } = headers
  // An old request may be a repeat by somebody who overheard it.
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest()
  return signatures.split(' ').some((each) => {
    const given = Buffer.from(each.replace(/^v1,/, ''), 'base64')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

const server = createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString('utf8')
  if (!isGenuine(request.headers, body)) return response.writeHead(401).end()
  const id = request.headers['webhook-id']
  // A try that was answered too late comes again, with the same id.
  if (!seen.has(id)) {
    seen.add(id)
    const { data } = JSON.parse(body)
    console.log(`${data.type} from ${data.sender.paired ? data.sender.name : 'a stranger'}, ${data.body.length} characters`)
  }
  return response.writeHead(204).end()
})

server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}/`))
