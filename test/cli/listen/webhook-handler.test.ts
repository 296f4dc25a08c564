import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isMeshError, MeshError } from '../../../src/core/base/index.ts'
import { checkWebhookUrl, webhookHandler, webhookHeaders, webhookId } from '../../../src/cli/listen/webhook-handler.ts'
import { heard, hostileBodies } from './message.ts'

const never = new AbortController().signal
const secret = new Uint8Array(Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'))

interface Posted {
  readonly headers: IncomingMessage['headers']
  readonly method: string | undefined
  readonly url: string | undefined
  readonly body: string
}

async function receiver(t: TestContext, answer: (posted: Posted, response: ServerResponse) => void) {
  const got: Posted[] = []
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const posted = { headers: request.headers, method: request.method, url: request.url, body: Buffer.concat(chunks).toString('utf8') }
    got.push(posted)
    answer(posted, response)
  }
  const server = createServer((request, response) => void take(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { url: new URL(`http://127.0.0.1:${address.port}/inbox?for=me`), got }
}

const handlerOf = (url: URL, deadlineMs = 20_000) => webhookHandler({ url, secret, answerBytes: 65_536, deadlineMs })

test('the signature is the one of the example in Standard Webhooks', () => {
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md and the test vectors of its libraries.
  const body = '{"test": 2432232314}'
  const headers = webhookHeaders(secret, { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampS: 1_614_265_330, body })
  assert.deepEqual(headers, {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  })
})

test('a message is posted once, signed over its very bytes, with the body in one place only', async (t) => {
  const { url, got } = await receiver(t, (_posted, response) => response.writeHead(204).end())
  for (const body of hostileBodies) {
    const message = heard({ body })
    const { outcome, httpStatus } = await handlerOf(url)(message, never)
    assert.deepEqual([outcome, httpStatus], ['done', 204])
    const posted = got.pop()
    assert.ok(posted)
    assert.deepEqual([posted.method, posted.url, posted.headers['content-type']], ['POST', '/inbox?for=me', 'application/json'])
    const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = posted.headers
    assert.equal(
      signature,
      `v1,${createHmac('sha256', secret)
        .update(`${String(id)}.${String(time)}.${posted.body}`)
        .digest('base64')}`
    )
    assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 300)
    const { data, ...envelope } = JSON.parse(posted.body)
    assert.deepEqual(data, JSON.parse(JSON.stringify(message)))
    assert.deepEqual(Object.keys(envelope), ['type', 'timestamp'])
    assert.ok(!JSON.stringify([{ ...data, body: '' }, envelope, posted.headers]).includes(JSON.stringify(body).slice(1, -1)))
  }
})

test('every try of one message has the same id, and those of other messages and senders have others', () => {
  const id = webhookId(heard())
  assert.equal(webhookId(heard({ redelivered: true, body: 'other' })), id)
  assert.match(id, /^msg_[A-Za-z0-9_-]{27}$/)
  assert.notEqual(webhookId(heard({ id: 'another' })), id)
  assert.notEqual(webhookId(heard({ source: 'another' })), id)
})

test('only 2xx is done; a redirect is not followed; what asks for patience gets it', async (t) => {
  const { url, got } = await receiver(t, ({ url: path }, response) => {
    const status = Number(new URLSearchParams(path?.split('?')[1]).get('status'))
    response.writeHead(status, status === 302 ? { location: '/elsewhere' } : status === 503 ? { 'retry-after': '7' } : {}).end('an answer')
  })
  const ask = (status: number) => handlerOf(new URL(`?status=${status}`, url))(heard(), never)
  for (const status of [200, 201, 299]) assert.equal((await ask(status)).outcome, 'done')
  for (const status of [302, 400, 401, 404, 410, 500]) {
    const handled = await ask(status)
    assert.deepEqual([handled.outcome, handled.httpStatus], ['failed', status])
  }
  assert.ok(got.every((posted) => !posted.url?.startsWith('/elsewhere')))
  assert.equal((await ask(503)).retryAfterMs, 7_000)
  assert.equal((await ask(200)).answer.toString(), 'an answer')
})

test('nobody there, no answer, half an answer and an endless one are failures or cut, and never hang', async (t) => {
  const closed = new URL('http://127.0.0.1:1/')
  assert.deepEqual([(await handlerOf(closed)(heard(), never)).outcome, (await handlerOf(closed)(heard(), never)).reason], ['failed', 'ECONNREFUSED'])
  const { url } = await receiver(t, ({ url: path }, response) => {
    if (path?.includes('flood') === true) {
      response.writeHead(200)
      const pour = (): void => void (response.destroyed || (response.write('x'.repeat(65_536)) ? setImmediate(pour) : response.once('drain', pour)))
      pour()
    } else if (path?.includes('half') === true) response.writeHead(200, { 'content-length': '100' }).write('half')
  })
  const silent = await handlerOf(url, 500)(heard(), never)
  assert.deepEqual([silent.outcome, silent.reason], ['failed', 'it took longer than 0.5 s'])
  assert.equal((await handlerOf(new URL('?half', url), 500)(heard(), never)).outcome, 'failed')
  const flood = await handlerOf(new URL('?flood', url))(heard(), never)
  assert.deepEqual([flood.outcome, flood.answer.length], ['done', 65_536])
  const stop = new AbortController()
  const running = handlerOf(url)(heard(), stop.signal)
  setImmediate(() => stop.abort())
  assert.equal((await running).outcome, 'interrupted')
})

test('a certificate that nobody vouches for is refused', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sm-tls-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-subj',
    '/CN=127.0.0.1',
    '-days',
    '2'
  ])
  if (made.status !== 0) {
    t.skip('openssl is not installed here')
    return
  }
  let asked = 0
  const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) => {
    asked++
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const { outcome, reason } = await handlerOf(new URL(`https://127.0.0.1:${address.port}/`))(heard(), never)
  assert.deepEqual([outcome, reason, asked], ['failed', 'DEPTH_ZERO_SELF_SIGNED_CERT', 0])
})

test('https goes anywhere, http to a number of this machine only, and a password belongs in no address', () => {
  for (const text of ['https://agent.example/inbox', 'https://192.0.2.1:8443/', 'http://127.0.0.1:8080/x?y', 'http://127.9.9.9/', 'http://[::1]:9/'])
    assert.equal(checkWebhookUrl(text).href, new URL(text).href)
  for (const text of [
    'http://localhost:8080/',
    'http://agent.example/',
    'http://127.0.0.1.evil.example/',
    'http://192.168.1.2/',
    'http://0.0.0.0/',
    'http://[::]/',
    'ftp://127.0.0.1/',
    'file:///etc/passwd',
    'https://user:canary-password@agent.example/',
    'not an address'
  ])
    assert.throws(
      () => checkWebhookUrl(text),
      (error) => isMeshError(error, 'OPTION_INVALID') && error instanceof MeshError && !JSON.stringify(error.report()).includes('canary-password'),
      text
    )
})
