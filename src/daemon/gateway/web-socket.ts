import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { MeshError, toMeshError } from '../../core/base/index.ts'
import { type Caller, checkToken, checkUpgrade, type Door } from '../access.ts'
import type { Perform } from '../control-server.ts'
import { Conversation } from './conversation.ts'

/** The longest frame that is taken. A message with more goes by POST. */
const maxFrameBytes = 1_048_576
const maxSockets = 32
const authenticateMs = 5_000
const pingEveryMs = 20_000

export interface WebSocketParts {
  readonly perform: Perform
  onError(error: MeshError, where: { readonly route: string; readonly status: number; readonly ms: number }): void
}

/** The one WebSocket of the gateway: requests and answers by ids, and streams. */
export class WebSocketDoor {
  readonly #parts: WebSocketParts
  readonly #server: WebSocketServer
  readonly #sockets = new Set<WebSocket>()

  private constructor(parts: WebSocketParts, server: WebSocketServer) {
    this.#parts = parts
    this.#server = server
  }

  /** The library is loaded when the first gateway starts. */
  static async load(parts: WebSocketParts): Promise<WebSocketDoor> {
    const { WebSocketServer } = await import('ws')
    // No compression: it costs memory for each socket, and lets lengths tell about contents.
    const options = { noServer: true, clientTracking: false, maxPayload: maxFrameBytes, perMessageDeflate: false } as const
    return new WebSocketDoor(parts, new WebSocketServer(options))
  }

  get size(): number {
    return this.#sockets.size
  }

  /** Takes a request for a WebSocket. @throws {MeshError} Denied, GATEWAY_BUSY */
  upgrade(request: IncomingMessage, socket: Duplex, { head, door }: { readonly head: Buffer; readonly door: Door }): void {
    const caller = checkUpgrade(request, door)
    if (this.#sockets.size >= maxSockets) throw new MeshError('GATEWAY_BUSY', { what: 'WebSockets', max: maxSockets })
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, caller, door))
  }

  /** Ends all of them. */
  close(): void {
    for (const socket of this.#sockets) socket.terminate()
  }

  #open(socket: WebSocket, caller: Caller | undefined, door: Door): void {
    this.#sockets.add(socket)
    const { perform, onError } = this.#parts
    const conversation = new Conversation(socket, {
      perform,
      onError: (error, operation) => onError(error, { route: `ws ${operation}`, status: 0, ms: 0 })
    })
    const deadline = setTimeout(() => socket.close(4401, 'no token came'), authenticateMs)
    const accept = (by: Caller): void => {
      clearTimeout(deadline)
      conversation.begin(by)
    }
    if (caller !== undefined) accept(caller)
    else conversation.onToken((token) => accept(callerOf(token, door)))
    const stopPings = keepAlive(socket)
    socket.on('error', (error) => onError(toSocketError(error), { route: 'ws', status: 0, ms: 0 }))
    socket.on('close', () => {
      clearTimeout(deadline)
      stopPings()
      conversation.end()
      this.#sockets.delete(socket)
    })
  }
}

/** @throws {Denied} */
function callerOf(token: string, { tokens }: Door): Caller {
  if (tokens === undefined) throw new MeshError('FORBIDDEN', { reason: 'this door knows no tokens' })
  return { over: 'port', ...checkToken(token, tokens) }
}

/** What the library reports is the client's doing: frames that are too long or none. */
const toSocketError = (error: Error): MeshError =>
  'code' in error && String(error.code).startsWith('WS_ERR')
    ? new MeshError('USAGE', { problem: `A WebSocket was closed: ${error.message}` })
    : toMeshError(error)

/** Asks for a sign of life every 20 s; who gave none since the last time is gone. */
function keepAlive(socket: WebSocket): () => void {
  let isAlive = true
  const heard = (): void => void (isAlive = true)
  socket.on('pong', heard)
  socket.on('message', heard)
  const timer = setInterval(() => {
    if (socket.isPaused) return
    if (!isAlive) return socket.terminate()
    isAlive = false
    socket.ping()
  }, pingEveryMs)
  timer.unref()
  return () => clearInterval(timer)
}
