import { createHash, createHmac } from 'node:crypto'
import { request as requestHttp, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIPv4 } from 'node:net'
import { MeshError, safeJson } from '../../core/base/index.ts'
import { type Handle, type Handled, type HeardMessage, KeptOutput } from './handler.ts'

/** For a whole exchange, the answer included. */
const deadlineMs = 15_000
const none: Pick<Handled, 'stdout' | 'stderr'> = { stdout: '', stderr: '' }

export interface WebhookOptions {
  readonly url: URL
  /** 24 to 64 bytes. */
  readonly secret: Uint8Array
  /** Kept of an answer. */
  readonly answerBytes: number
  readonly deadlineMs?: number
}

/** The address for `--webhook`: https, or http to this very machine by its number. @throws {MeshError} OPTION_INVALID */
export function checkWebhookUrl(text: string): URL {
  const fail = (allowed: string): never => {
    throw new MeshError('OPTION_INVALID', {
      path: '--webhook',
      value: JSON.stringify(
        text
          .split('?')[0]
          ?.replace(/\/\/[^/]*@/, '//…@')
          .slice(0, 80)
      ),
      allowed
    })
  }
  const url = URL.canParse(text) ? new URL(text) : fail('an https address, such as https://agent.example/inbox')
  if (url.username !== '' || url.password !== '') fail('an address without a name and a password: the request is signed')
  if (url.protocol === 'https:') return url
  const isLoopback = url.hostname === '[::1]' || (isIPv4(url.hostname) && url.hostname.startsWith('127.'))
  if (url.protocol !== 'http:' || !isLoopback) fail('an https address, or http to a number of this machine, such as http://127.0.0.1:8080/inbox')
  return url
}

/** The same for every try, so that a receiver knows a repeat. */
export const webhookId = ({ source, id }: Pick<HeardMessage, 'source' | 'id'>): string =>
  `msg_${createHash('sha256').update(`${source} ${id}`).digest('base64url').slice(0, 27)}`

/** The headers that sign a body, as Standard Webhooks 1.0.0 says (HMAC-SHA-256 over id, time and body). `timestampS` in seconds. */
export function webhookHeaders(
  secret: Uint8Array,
  { id, timestampS, body }: { readonly id: string; readonly timestampS: number; readonly body: string }
) {
  const signature = createHmac('sha256', secret).update(`${id}.${timestampS}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': String(timestampS), 'webhook-signature': `v1,${signature}` } as const
}

/** Posts each message to one address. Redirects are not followed: the next address was checked by nobody. */
export const webhookHandler =
  (options: WebhookOptions): Handle =>
  async (message, interrupted) => {
    const timeout = AbortSignal.timeout(options.deadlineMs ?? deadlineMs)
    const answer = new KeptOutput(options.answerBytes)
    try {
      const response = await post(options, message, AbortSignal.any([interrupted, timeout]))
      for await (const chunk of response as AsyncIterable<Buffer>) {
        answer.add(chunk)
        // What is not kept is not waited for.
        if (answer.dropped > 0) break
      }
      return judge(response, answer)
    } catch (error) {
      const dropped = { stdout: answer.dropped, stderr: 0 }
      const common = { ...none, answer: Buffer.alloc(0), dropped }
      if (interrupted.aborted) return { outcome: 'interrupted', reason: 'the listener was ended', ...common }
      const reason = timeout.aborted ? `it took longer than ${(options.deadlineMs ?? deadlineMs) / 1000} s` : reasonOf(error)
      return { outcome: 'failed', reason, ...common }
    }
  }

function post({ url, secret }: WebhookOptions, message: HeardMessage, signal: AbortSignal): Promise<IncomingMessage> {
  const body = safeJson({ type: 'message.received', timestamp: new Date(message.receivedAt).toISOString(), data: message })
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  const sent: ClientRequest = request(
    url,
    {
      method: 'POST',
      signal,
      agent: false,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'synaptic-mesh',
        ...webhookHeaders(secret, { id: webhookId(message), timestampS: Math.floor(Date.now() / 1000), body })
      }
    },
    resolve
  )
  sent.on('error', reject)
  sent.end(body)
  return promise
}

function judge({ statusCode: status = 0, headers }: IncomingMessage, kept: KeptOutput): Handled {
  const common = { ...none, httpStatus: status, answer: kept.bytes, dropped: { stdout: kept.dropped, stderr: 0 } }
  if (status >= 200 && status < 300) return { outcome: 'done', ...common }
  if (status >= 300 && status < 400) return { outcome: 'failed', reason: `status ${status}: redirects are not followed`, ...common }
  const patience = /^\d{1,5}$/.exec(headers['retry-after'] ?? '')?.[0]
  return { outcome: 'failed', reason: `status ${status}`, ...common, ...(patience === undefined ? {} : { retryAfterMs: Number(patience) * 1000 }) }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return (code !== '' ? code : error instanceof Error ? error.message : String(error)).slice(0, 200)
}
