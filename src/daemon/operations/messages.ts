import { MeshError } from '../../core/base/index.ts'
import { messageLimits, type Via } from '../../core/message/types.ts'
import type { Mesh, ReceivedMessage, SendReport } from '../../mesh/mesh.ts'
import { Denied } from '../access.ts'
import { messageType, wireMessage, wireReport } from '../convert.ts'
import { type Context, type Handler, present } from './context.ts'

const requestTimeoutMs = 30_000
const sendTimeoutMs = 10_000

function contentOf(content: string | undefined, encoding: string): string | Uint8Array {
  if (content === undefined)
    throw new MeshError('USAGE', { problem: 'The content is missing: give it as an argument, with --content, or as - from standard input' })
  const bytes = encoding === 'base64' ? fromBase64(content) : undefined
  const size = bytes?.length ?? Buffer.byteLength(content)
  if (size > messageLimits.bodyBytes) throw new MeshError('BODY_TOO_LARGE', { bytes: size, max: messageLimits.bodyBytes })
  return bytes ?? content
}

/** Padding may be left out; anything else that is no base64 is an error, where Buffer would skip it. */
function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64').replace(/=+$/, '') === text.trimEnd().replace(/=+$/, '')) return bytes
  throw new MeshError('OPTION_INVALID', { path: 'content', value: text.slice(0, 40), allowed: 'base64 (RFC 4648 section 4)' })
}

/** Who comes over a port with a token for agents is one. */
const isAgent = ({ over, scope }: Context['caller']): boolean => over === 'port' && scope === 'agent'

/** Whether a message is an agent's, and whether the guard against loops is lifted for it. @throws {Denied} 403 when an agent would lift it for itself */
function standing({ automatic, allow }: { readonly automatic: boolean; readonly allow: boolean }, caller: Context['caller']) {
  if (allow && isAgent(caller)) throw new Denied(403, 'a person lets agents go on, not an agent: with the command line, or a token of scope admin')
  return { automatic: automatic || isAgent(caller), allow }
}

export const message: Handler<'message'> = async (input, { mesh, signal, caller }) => {
  const content = contentOf(input.content, input.encoding)
  const { priority, ttlS, id, label, toLabel, contentType, inReplyTo, via, cause } = input
  const delivery = input.volatile ? 'volatile' : 'durable'
  const shared = {
    ...present({ priority, ttlS, id, label, toLabel, contentType, inReplyTo, via, cause }),
    ...standing(input, caller),
    delivery,
    signal
  } as const
  if (input.request) {
    const start = performance.now()
    const response = await mesh.request(input.destination, content, { ...shared, timeoutMs: input.timeoutMs ?? requestTimeoutMs })
    return {
      ...wireReport(await requestReport(mesh, response, { priority, ms: Math.round(performance.now() - start), via: via ?? defaultVia(mesh) })),
      response: wireMessage(response)
    }
  }
  const waitFor = input.wait === 'accepted' ? 'accepted' : 'stored'
  const type = messageType(input.msgType)
  const report = await mesh.send(input.destination, content, {
    ...shared,
    type,
    expectsReply: input.expectsReply,
    waitFor,
    timeoutMs: input.timeoutMs ?? sendTimeoutMs
  })
  return wireReport(report)
}

interface Sent {
  readonly priority: number
  readonly ms: number
  readonly via: Via
}

/** The route of a message that names none. */
const defaultVia = ({ options }: Mesh): Via => (options.onionRouting ? 'onion' : 'direct')

/** What is known of the Command that `response` answers; of a volatile one nothing is stored. */
async function requestReport(mesh: Mesh, response: ReceivedMessage, sent: Sent): Promise<SendReport> {
  const id = response.inReplyTo ?? response.id
  if (response.delivery === 'durable') return mesh.outbox.get(id)
  const at = response.timestamp
  return {
    id,
    to: [response.source],
    type: 'Command',
    ...sent,
    status: 'sent',
    path: sent.via === 'onion' ? 'onion' : (await mesh.peer(response.source.peerId)).path,
    attempts: 1,
    acceptedAt: at,
    expiresAt: at,
    error: undefined
  }
}

interface Query {
  readonly after: number
  readonly limit: number
  readonly type?: readonly string[] | undefined
  readonly from?: string | undefined
  readonly consumer?: string | undefined
}

const inboxQuery = ({ after, limit, type, from, consumer }: Query) => ({
  after,
  limit,
  ...present({ types: type?.map(messageType), from, consumer })
})

export const inboxList: Handler<'inboxList'> = async (input, { mesh, signal }) => {
  const { messages, cursor } = await mesh.inbox.list({ ...inboxQuery(input), states: input.state ?? ['unread'] }, { signal })
  const { unread, held } = await mesh.inbox.counts()
  return { messages: messages.map(wireMessage), cursor, unread, held }
}

export const inboxRead: Handler<'inboxRead'> = async (input, { mesh, signal }) => {
  if (input.id !== undefined) return readOne(mesh, input.id, input)
  const { messages, cursor } = await mesh.inbox.list({ ...inboxQuery(input), states: ['unread'], handOut: true }, { signal })
  return { messages: messages.map(wireMessage), cursor }
}

async function readOne(mesh: Mesh, id: string, { from, consumer }: Pick<Query, 'from' | 'consumer'>): ReturnType<typeof inboxRead> {
  const found = await mesh.inbox.get(id, from)
  const query = { after: found.position - 1, limit: 1, states: ['unread'], handOut: true, ...present({ consumer }) } as const
  const taken = found.state === 'unread' ? (await mesh.inbox.list(query)).messages.find((each) => each.id === id) : undefined
  return { messages: [wireMessage(taken ?? found)], cursor: found.position }
}

export const inboxAck: Handler<'inboxAck'> = async (input, { mesh, claims }) => {
  const unknown: string[] = []
  const known: { readonly source: string; readonly id: string }[] = []
  for (const id of input.id) {
    const found = await mesh.inbox.get(id, input.from).catch((error: unknown) => {
      if (error instanceof MeshError && error.code === 'MESSAGE_UNKNOWN') return undefined
      throw error
    })
    if (found === undefined) unknown.push(id)
    else known.push({ source: found.source.peerId, id })
  }
  if (known.length === 0) throw new MeshError('MESSAGE_UNKNOWN', { id: input.id[0] ?? '' })
  const result = await mesh.inbox.ack(known, present({ consumer: input.consumer }))
  for (const { source, id } of known) claims.done(input.consumer ?? '', { id, source: { peerId: source, name: '' } })
  return { acknowledged: result.acknowledged, unknown: [...unknown, ...result.unknown] }
}

export const inboxReply: Handler<'inboxReply'> = async (input, { mesh, signal, caller }) => {
  const content = contentOf(input.content, input.encoding)
  const original = await mesh.inbox.get(input.id, input.from)
  const { priority, ttlS, contentType, timeoutMs, via, all } = input
  const report = await mesh.reply(original, content, {
    priority,
    ttlS,
    timeoutMs,
    signal,
    all,
    ...standing(input, caller),
    ...present({ contentType, via })
  })
  if (input.ack) await mesh.inbox.ack([{ source: original.source.peerId, id: original.id }], present({ consumer: input.consumer }))
  return wireReport(report)
}

export const outboxList: Handler<'outboxList'> = async (input, { mesh }) => {
  const { id, limit, state, to } = input
  const reports = id === undefined ? await mesh.outbox.list({ limit, ...present({ states: state, to }) }) : [await mesh.outbox.get(id)]
  const { queued, bytes } = await mesh.outbox.counts()
  return { messages: reports.map(wireReport), queued, bytes }
}

export const outboxRetry: Handler<'outboxRetry'> = async (input, { mesh }) => ({ retried: await mesh.outbox.retry(input.id) })
export const outboxCancel: Handler<'outboxCancel'> = async (input, { mesh }) => wireReport(await mesh.outbox.cancel(input.id))
