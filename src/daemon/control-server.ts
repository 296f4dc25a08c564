import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { isMeshError, MeshError, safeJson, toMeshError } from '../core/base/index.ts'
import { type Command, jsonType, type OperationName, operations, type Route, type Scope, streamType, toWireError } from '../api/index.ts'
import { type Caller, checkAccess, checkDoor, checkScope, Denied, type Door } from './access.ts'
import { eventStreamType, type FeedItem, writeEventStream } from './event-stream.ts'
import { readInput } from './request-input.ts'

/** Performs one operation; a stream's answer is an iterable of its items. */
export type Perform = (name: OperationName, input: object, call: { readonly signal: AbortSignal; readonly caller: Caller }) => Promise<unknown>

/** A text that is served at a path of its own, such as /metrics. */
export interface Page {
  readonly scope: Scope
  readonly contentType: string
  text(): Promise<string>
}

export interface ControlServerParts {
  readonly perform: Perform
  /** What is served besides the operations, by path; all by GET. */
  readonly pages?: ReadonlyMap<string, Page>
  /** Takes a request for another protocol, or throws Denied; without it all are refused. */
  onUpgrade?(request: IncomingMessage, socket: Duplex, context: { readonly head: Buffer; readonly door: Door }): void
  /** Told of every error, with where it happened. */
  onError(error: MeshError, where: { readonly route: string; readonly status: number; readonly ms: number }): void
  /** Told of every answer. */
  onAnswer?(status: number): void
  readonly limits?: Partial<ServerLimits>
}

interface ServerLimits {
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly checkEveryMs: number
  readonly maxConnections: number
}

/** Node's own are 60 s, 300 s, 30 s and none: too lax for a door that every local program can knock at. */
const defaultLimits: ServerLimits = { headersTimeoutMs: 5_000, requestTimeoutMs: 30_000, checkEveryMs: 1_000, maxConnections: 128 }

/** Where a WebSocket is asked for. */
const webSocketPath = '/v1/ws'

const routes: ReadonlyMap<string, { readonly name: OperationName; readonly operation: Command; readonly route: Route }> = new Map(
  (Object.keys(operations) as OperationName[]).flatMap((name) => {
    const operation: Command = operations[name]
    return operation.route === undefined ? [] : [[operation.route.path, { name, operation, route: operation.route }] as const]
  })
)

/** An HTTP server that answers the operations of the catalogue behind one door. */
export function createControlServer(parts: ControlServerParts, doorOf: () => Door): Server {
  const limits = { ...defaultLimits, ...parts.limits }
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkEveryMs,
    keepAliveTimeout: 5_000,
    requireHostHeader: false,
    maxHeaderSize: 16_384
  })
  server.maxConnections = limits.maxConnections
  // What cannot even be told as an error ends that connection, and nothing else.
  server.on('request', (request, response) => void new Exchange(request, response, parts).run(doorOf()).catch(() => response.destroy()))
  server.on('upgrade', (request, socket, head) => takeUpgrade(request, socket, { parts, door: doorOf(), head }))
  server.on('checkExpectation', (_request, response) => void response.writeHead(417).end())
  return server
}

interface UpgradeContext {
  readonly parts: ControlServerParts
  readonly door: Door
  readonly head: Buffer
}

function takeUpgrade(request: IncomingMessage, socket: Duplex, { parts, door, head }: UpgradeContext): void {
  try {
    if (parts.onUpgrade !== undefined && pathOf(request) === webSocketPath) {
      parts.onUpgrade(request, socket, { head, door })
      return parts.onAnswer?.(101)
    }
    checkAccess(request, door)
    throw new Denied(403, 'no other protocol is spoken here')
  } catch (error) {
    const known = toMeshError(error)
    const status = statusOf(known)
    parts.onError(known, { route: routeName(request), status, ms: 0 })
    parts.onAnswer?.(status)
    socket.on('error', () => undefined)
    socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
  }
}

const pathOf = (request: IncomingMessage): string => (request.url ?? '').split('?')[0] ?? ''
const routeName = (request: IncomingMessage): string => `${request.method ?? ''} ${pathOf(request).slice(0, 80)}`

const securityHeaders = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'content-security-policy': "default-src 'none'" } as const

/** One request and its answer. */
class Exchange {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #parts: ControlServerParts
  readonly #started = performance.now()
  readonly #gone = new AbortController()

  constructor(request: IncomingMessage, response: ServerResponse, parts: ControlServerParts) {
    this.#request = request
    this.#response = response
    this.#parts = parts
    // Whoever leaves before the answer ends the work.
    response.on('close', () => this.#gone.abort())
    response.on('error', () => this.#gone.abort())
  }

  async run(door: Door): Promise<void> {
    try {
      const caller = checkAccess(this.#request, door)
      this.#endWith(caller)
      const page = this.#request.method === 'GET' ? this.#parts.pages?.get(pathOf(this.#request)) : undefined
      if (page === undefined) return await this.#perform(caller)
      checkScope(caller.scope, page.scope)
      this.#send(200, page.contentType, await page.text())
    } catch (error) {
      this.#fail(toMeshError(error))
    }
  }

  /** What is still open when a token expires, such as a stream, ends with it. */
  #endWith({ expiresInMs }: Caller): void {
    if (expiresInMs === undefined) return
    const timer = setTimeout(() => this.#response.destroy(), Math.min(expiresInMs, 0x7fff_ffff))
    timer.unref()
    this.#response.on('close', () => clearTimeout(timer))
  }

  async #perform(caller: Caller): Promise<void> {
    const { name, operation, route } = this.#route()
    checkScope(caller.scope, route.scope)
    checkDoor(caller, route)
    const input = await readInput(this.#request, operation, route)
    const answer = await this.#parts.perform(name, input, { signal: this.#gone.signal, caller })
    if (route.stream === 'events' && !this.#takesLines()) await this.#events(answer as AsyncIterable<FeedItem>)
    else if (route.stream !== undefined) await this.#stream(answer as AsyncIterable<unknown>)
    else this.#answer(200, answer)
  }

  /** Server-sent events come as lines of JSON to whoever asks for these. */
  #takesLines(): boolean {
    return this.#request.headers.accept === streamType
  }

  async #events(items: AsyncIterable<FeedItem>): Promise<void> {
    // Its end is the end of the connection, so that the reader sees it at once.
    this.#response.writeHead(200, { ...securityHeaders, 'content-type': eventStreamType, connection: 'close' })
    this.#parts.onAnswer?.(200)
    await writeEventStream(this.#response, items, this.#gone.signal)
  }

  #route() {
    const found = routes.get(pathOf(this.#request))
    if (found === undefined || found.route.method !== this.#request.method) throw new MeshError('ROUTE_UNKNOWN', { route: routeName(this.#request) })
    return found
  }

  #answer(status: number, answer: unknown): void {
    this.#send(status, jsonType, `${safeJson(answer)}\n`)
  }

  #send(status: number, contentType: string, text: string): void {
    this.#parts.onAnswer?.(status)
    this.#response.writeHead(status, { ...securityHeaders, 'content-type': contentType, 'content-length': Buffer.byteLength(text) })
    this.#response.end(text)
  }

  async #stream(items: AsyncIterable<unknown>): Promise<void> {
    this.#parts.onAnswer?.(200)
    this.#response.writeHead(200, { ...securityHeaders, 'content-type': streamType })
    this.#response.flushHeaders()
    for await (const item of items) {
      const isTaken = this.#response.write(`${safeJson(item)}\n`)
      if (!isTaken) await Promise.race([once(this.#response, 'drain'), once(this.#gone.signal, 'abort')])
      if (this.#gone.signal.aborted) break
    }
    this.#response.end()
  }

  #fail(error: MeshError): void {
    const status = statusOf(error)
    const isGone = this.#gone.signal.aborted
    if (!(isGone && isMeshError(error, 'ABORTED')))
      this.#parts.onError(error, { route: routeName(this.#request), status, ms: Math.round(performance.now() - this.#started) })
    if (isGone) return
    if (this.#response.headersSent) {
      this.#response.end(`${safeJson(toWireError(error))}\n`)
      return
    }
    // What was not read is not waited for.
    if (!this.#request.complete) this.#response.setHeader('connection', 'close')
    this.#answer(status, toWireError(error))
  }
}

/** The HTTP status that says the same as an error's exit code. */
function statusOf(error: MeshError): number {
  if (error instanceof Denied) return error.status
  switch (error.code) {
    case 'BODY_TOO_LARGE':
      return 413
    case 'FORBIDDEN':
      return 415
    case 'ROUTE_UNKNOWN':
      return 404
    default:
      return statusByExit.get(error.exitCode) ?? 500
  }
}

const statusByExit: ReadonlyMap<number, number> = new Map([
  [1, 500],
  [2, 400],
  [3, 503],
  [4, 403],
  [5, 404],
  [6, 504],
  [7, 502],
  [8, 502],
  [9, 409],
  [10, 503],
  [130, 499]
])
