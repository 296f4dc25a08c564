import type { RawData, WebSocket } from 'ws'
import { MeshError, safeJson, toMeshError } from '../../core/base/index.ts'
import { checkInput, type Command, type OperationName, operations, type Route, toWireError } from '../../api/index.ts'
import { type Caller, checkDoor, checkScope } from '../access.ts'
import type { Perform } from '../control-server.ts'

type RequestId = string | number

interface Request {
  readonly id: RequestId
  readonly operation: string
  readonly input: object
}

/** Requests that are worked on at once; while there are so many, no more are read. */
const maxRequests = 32
const maxStreams = 16
const maxIdCharacters = 64
/** What may wait in the memory of one socket, before it is cut off. */
const maxBufferedBytes = 16 * 1_048_576
/** A client that sends so many frames which are no request is cut off. */
const maxBadFrames = 16

export interface ConversationParts {
  readonly perform: Perform
  onError(error: MeshError, operation: string): void
}

/** What is said over one WebSocket: `{id, operation, input}` there, `{id, result}`, `{id, error}` or `{id, item}` … `{id, done}` back. */
export class Conversation {
  readonly #socket: WebSocket
  readonly #parts: ConversationParts
  readonly #gone = new AbortController()
  readonly #running = new Map<RequestId, AbortController>()
  #caller: Caller | undefined
  #takeToken: ((token: string) => void) | undefined
  #expiry: NodeJS.Timeout | undefined
  #streams = 0
  #busy = 0
  #badFrames = 0

  constructor(socket: WebSocket, parts: ConversationParts) {
    this.#socket = socket
    this.#parts = parts
    socket.on('message', (data, isBinary) => this.#onFrame(data, isBinary))
    // Each ping is answered: who sends many and reads none fills our memory.
    socket.on('ping', () => this.#checkBuffered())
  }

  /** From now on requests are done for `caller`, until its token expires. */
  begin(caller: Caller): void {
    this.#caller = caller
    if (caller.expiresInMs === undefined) return
    this.#expiry = setTimeout(() => this.#socket.close(4401, 'the token has expired'), Math.min(caller.expiresInMs, 0x7fff_ffff))
    this.#expiry.unref()
  }

  /** The first message is to bring a token; `take` throws when it is none. */
  onToken(take: (token: string) => void): void {
    this.#takeToken = take
  }

  /** Ends the work that is still done. */
  end(): void {
    clearTimeout(this.#expiry)
    this.#gone.abort()
  }

  #onFrame(data: RawData, isBinary: boolean): void {
    const request = isBinary ? undefined : parseRequest(data)
    if (request === undefined) return this.#refuseFrame()
    if (this.#caller === undefined) return this.#authenticate(request)
    if (request.operation === 'cancel') return this.#cancel(request)
    if (this.#running.has(request.id)) return this.#answer(request.id, { error: usage('The id is in use by a request that has not ended') })
    this.#busy++
    if (this.#busy >= maxRequests) this.#socket.pause()
    void this.#serve(request, this.#caller).finally(() => {
      this.#busy--
      if (this.#socket.isPaused && this.#busy < maxRequests) this.#socket.resume()
    })
  }

  #refuseFrame(): void {
    this.#badFrames++
    if (this.#caller === undefined || this.#badFrames > maxBadFrames) return this.#socket.close(1008, 'that is no request')
    this.#answer(null, { error: usage('A request is a text frame with JSON: {"id", "operation", "input"}') })
  }

  #authenticate({ id, operation, input }: Request): void {
    const token = 'token' in input ? input.token : undefined
    if (operation !== 'authenticate' || typeof token !== 'string' || this.#takeToken === undefined)
      return this.#socket.close(4401, 'a token must come first')
    try {
      this.#takeToken(token.slice(0, 128))
    } catch (error) {
      const known = toMeshError(error)
      this.#parts.onError(known, operation)
      return this.#socket.close(4401, known.code)
    }
    this.#answer(id, { result: { scope: this.#caller?.scope } })
  }

  #cancel({ id, input }: Request): void {
    const other = 'id' in input ? input.id : undefined
    const running = typeof other === 'string' || typeof other === 'number' ? this.#running.get(other) : undefined
    running?.abort()
    this.#answer(id, { result: { cancelled: running !== undefined } })
  }

  async #serve({ id, operation, input }: Request, caller: Caller): Promise<void> {
    const ended = new AbortController()
    this.#running.set(id, ended)
    try {
      const { name, route, fields } = found(operation)
      checkScope(caller.scope, route.scope)
      checkDoor(caller, route)
      const signal = AbortSignal.any([this.#gone.signal, ended.signal])
      const answer = this.#parts.perform(name, checkInput(fields, input), { signal, caller })
      if (route.stream === undefined) await this.#send(id, { result: await answer })
      else void this.#stream(id, (await answer) as AsyncIterable<unknown>, ended)
      if (route.stream === undefined) this.#running.delete(id)
    } catch (error) {
      this.#running.delete(id)
      await this.#fail({ id, operation }, error)
    }
  }

  async #stream(id: RequestId, items: AsyncIterable<unknown>, ended: AbortController): Promise<void> {
    this.#streams++
    try {
      if (this.#streams > maxStreams) throw new MeshError('GATEWAY_BUSY', { what: 'streams of one WebSocket', max: maxStreams })
      for await (const item of items) {
        // Handed to the operating system before the next is taken: a slow reader holds its own stream up and nothing else.
        await this.#send(id, { item })
        if (ended.signal.aborted || this.#gone.signal.aborted) break
      }
      await this.#send(id, { done: true })
    } catch (error) {
      await this.#fail({ id, operation: 'stream' }, error)
    } finally {
      this.#streams--
      this.#running.delete(id)
    }
  }

  async #fail({ id, operation }: { readonly id: RequestId; readonly operation: string }, error: unknown): Promise<void> {
    const known = toMeshError(error)
    if (this.#gone.signal.aborted) return
    this.#parts.onError(known, operation)
    await this.#send(id, toWireError(known))
  }

  #answer(id: RequestId | null, answer: object): void {
    void this.#send(id, answer)
  }

  /** Resolves when it was handed over, or cannot be any more. */
  #send(id: RequestId | null, answer: object): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#socket.readyState !== this.#socket.OPEN) resolve()
    else this.#socket.send(safeJson({ id, ...answer }), () => resolve())
    this.#checkBuffered()
    return promise
  }

  #checkBuffered(): void {
    if (this.#socket.bufferedAmount > maxBufferedBytes) this.#socket.terminate()
  }
}

const usage = (problem: string) => toWireError(new MeshError('USAGE', { problem })).error

/** The operation that a request names. @throws {MeshError} ROUTE_UNKNOWN */
export function found(operation: string): { readonly name: OperationName; readonly route: Route; readonly fields: Command['fields'] } {
  const command: Command | undefined = Object.hasOwn(operations, operation) ? operations[operation as OperationName] : undefined
  if (command?.route === undefined) throw new MeshError('ROUTE_UNKNOWN', { route: operation.slice(0, 80) })
  return { name: operation as OperationName, route: command.route, fields: command.fields }
}

/** The request in a frame; undefined when it is none. */
export function parseRequest(data: RawData): Request | undefined {
  try {
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value !== 'object' || value === null || !('id' in value) || !('operation' in value)) return undefined
    const { id, operation } = value
    const input: unknown = 'input' in value ? value.input : {}
    const isId = (typeof id === 'string' && id.length <= maxIdCharacters) || (typeof id === 'number' && Number.isSafeInteger(id))
    if (!isId || typeof operation !== 'string' || typeof input !== 'object' || input === null) return undefined
    return { id: id as RequestId, operation, input }
  } catch {
    return undefined
  }
}
