import type * as Http from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { MeshError, toMeshError } from '../core/base/index.ts'
import { operations, type OperationName, type Operations } from './catalogue/index.ts'
import type { InputOf, OutputOf } from './command.ts'
import { fromWireError, jsonType, socketHost, streamType } from './wire.ts'

export interface CallContext {
  /** Aborting ends the work in the daemon too. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the answer must be there; default 30,000. Streams have none. */
  readonly deadlineMs?: number
}

/** The input as a caller may give it: what has a default can be left out. */
export type GivenInput<Name extends OperationName> = Partial<InputOf<Operations[Name]>>

/**
 * Not imported: naming the module's exports one by one makes Node load its whole fetch (some 30 ms of the command line's start).
 * Loaded at the first call.
 */
const http = (): typeof Http => process.getBuiltinModule('node:http')

/** An answer may have at most 64 MiB, a line of a stream 8 MiB. */
const maxAnswerBytes = 64 * 1_048_576
const maxLineCharacters = 8 * 1_048_576
const foreignSocket = 'its socket belongs to another user'

/** The control API over the profile's Unix socket. Every error is a MeshError: the daemon's own, DAEMON_UNREACHABLE, TIMEOUT or ABORTED. */
export class ControlClient {
  readonly #socketPath: string
  readonly #profile: string
  readonly #agent: Http.Agent | false

  /** `keepAlive`: for whoever calls often; such a client is closed at the end. */
  constructor(target: { readonly socketPath: string; readonly profile: string }, options: { readonly keepAlive?: boolean } = {}) {
    this.#agent = options.keepAlive === true ? new (http().Agent)({ keepAlive: true, maxSockets: 64 }) : false
    this.#socketPath = target.socketPath
    this.#profile = target.profile
  }

  /** Closes the connections that are kept. */
  close(): void {
    if (this.#agent !== false) this.#agent.destroy()
  }

  /** Performs one operation. */
  async call<Name extends OperationName>(name: Name, input: GivenInput<Name>, context: CallContext = {}): Promise<OutputOf<Operations[Name]>> {
    const deadlineMs = context.deadlineMs ?? 30_000
    const deadline = AbortSignal.timeout(deadlineMs)
    const signal = context.signal === undefined ? deadline : AbortSignal.any([context.signal, deadline])
    try {
      const response = await this.#send(name, input, signal)
      const text = await readText(response)
      const answer: unknown = parseJson(text)
      if (response.statusCode !== 200) throw fromWireError(answer, this.#profile)
      return answer as OutputOf<Operations[Name]>
    } catch (error) {
      throw this.#explain(error, { name, context, deadline, deadlineMs })
    }
  }

  /** The items of a stream, one at a time, until the daemon or `signal` ends it. */
  async *stream<Name extends OperationName>(
    name: Name,
    input: GivenInput<Name>,
    context: CallContext = {}
  ): AsyncGenerator<OutputOf<Operations[Name]>> {
    try {
      const response = await this.#send(name, input, context.signal)
      if (response.statusCode !== 200) throw fromWireError(parseJson(await readText(response)), this.#profile)
      for await (const line of lines(response)) {
        const item: unknown = parseJson(line)
        if (typeof item === 'object' && item !== null && 'error' in item && !('id' in item)) throw fromWireError(item, this.#profile)
        yield item as OutputOf<Operations[Name]>
      }
    } catch (error) {
      throw this.#explain(error, { name, context, deadline: undefined, deadlineMs: 0 })
    }
  }

  #send(name: OperationName, input: object, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    const { route } = operations[name]
    if (route === undefined) throw new MeshError('ROUTE_UNKNOWN', { route: name })
    this.#checkOwner()
    const isGet = route.method === 'GET'
    const body = isGet ? undefined : JSON.stringify(input)
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const sent: ClientRequest = http().request(
      {
        socketPath: this.#socketPath,
        method: route.method,
        path: isGet ? route.path + queryOf(input) : route.path,
        agent: this.#agent,
        headers: {
          host: socketHost,
          ...(route.stream === undefined ? {} : { accept: streamType }),
          ...(body === undefined ? {} : { 'content-type': jsonType, 'content-length': Buffer.byteLength(body) })
        },
        ...(signal === undefined ? {} : { signal })
      },
      resolve
    )
    sent.on('error', reject)
    sent.end(body)
    return promise
  }

  /** Who plants a socket where the daemon's would be could read what is sent, and answer as it likes. */
  #checkOwner(): void {
    const own = process.geteuid?.()
    const owner = process.getBuiltinModule('node:fs').lstatSync(this.#socketPath, { throwIfNoEntry: false })?.uid
    if (own === undefined || owner === undefined || owner === own) return
    throw new MeshError('DAEMON_UNREACHABLE', { profile: this.#profile, reason: foreignSocket })
  }

  #explain(
    error: unknown,
    call: { readonly name: string; readonly context: CallContext; readonly deadline: AbortSignal | undefined; readonly deadlineMs: number }
  ): MeshError {
    if (error instanceof MeshError) return error
    if (call.context.signal?.aborted === true) return new MeshError('ABORTED', { operation: call.name })
    if (call.deadline?.aborted === true) return new MeshError('TIMEOUT', { operation: call.name, timeoutMs: call.deadlineMs })
    const { message } = toMeshError(error)
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
    const reason = code === 'ENOENT' || code === 'ECONNREFUSED' ? 'it does not run' : code === 'EACCES' ? foreignSocket : code === '' ? message : code
    return new MeshError('DAEMON_UNREACHABLE', { profile: this.#profile, reason }, { cause: error })
  }
}

function queryOf(input: object): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input)) {
    if (value !== undefined) query.set(name, Array.isArray(value) ? value.join(',') : String(value))
  }
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  let held = ''
  response.setEncoding('utf8')
  for await (const chunk of response as AsyncIterable<string>) {
    const parts = (held + chunk).split('\n')
    held = parts.pop() ?? ''
    if (held.length > maxLineCharacters) throw new Error('a line of the answer is too long')
    for (const part of parts) if (part !== '') yield part
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error('its answer is not JSON', { cause })
  }
}
