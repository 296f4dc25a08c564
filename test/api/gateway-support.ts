import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import type { Rig } from './harness.ts'

/** The deadline of whatever a test waits for, on a busy machine. */
export const patienceMs = 60_000

export interface Told {
  readonly event: string
  readonly id: string
  readonly data: unknown
}

/** A reader of server-sent events by a plain socket, as the specification reads them. */
export class EventReader {
  readonly #socket: Socket
  readonly #events: Told[] = []
  #text = ''
  #wake: () => void = () => undefined
  /** What came before the events. */
  head = ''
  isClosed = false

  constructor(t: TestContext, port: number, request: { readonly token: string; readonly query?: string; readonly lastEventId?: string }) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.setEncoding('utf8')
    this.#socket.on('error', () => undefined)
    this.#socket.on('data', (text: string) => this.#take(text))
    this.#socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
    const lines = [`GET /v1/events${request.query ?? ''} HTTP/1.1`, `Host: 127.0.0.1:${port}`, `Authorization: Bearer ${request.token}`]
    if (request.lastEventId !== undefined) lines.push(`Last-Event-ID: ${request.lastEventId}`)
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    t.after(() => this.close())
  }

  /** The next event, comments left out. */
  async next(): Promise<Told> {
    const deadline = AbortSignal.timeout(patienceMs)
    for (;;) {
      const first = this.#events.shift()
      if (first !== undefined) return first
      assert.ok(!this.isClosed, `closed: ${this.head} ${this.#text}`)
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#wake = resolve
      deadline.addEventListener('abort', () => reject(new Error(`no event within ${patienceMs} ms`)), { once: true })
      await promise
    }
  }

  async until(event: string): Promise<readonly Told[]> {
    const seen: Told[] = []
    for (;;) {
      const told = await this.next()
      seen.push(told)
      if (told.event === event) return seen
    }
  }

  async closed(): Promise<void> {
    if (!this.isClosed) await once(this.#socket, 'close', { signal: AbortSignal.timeout(patienceMs) })
  }

  /** Takes nothing more, and keeps the connection. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    this.#text += text
    if (this.head === '') {
      const end = this.#text.indexOf('\r\n\r\n')
      if (end < 0) return
      this.head = this.#text.slice(0, end)
      this.#text = this.#text.slice(end + 4)
    }
    // The chunks of the transfer coding are told by their lines of hexadecimal digits.
    const blocks = this.#text.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, '').split('\n\n')
    const rest = blocks.pop() ?? ''
    for (const block of blocks) this.#event(block)
    this.#text = rest
    this.#wake()
  }

  #event(block: string): void {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')).trim(), line.slice(line.indexOf(':') + 1).trim()] as const)
    )
    const event = fields.get('event')
    if (event === undefined) return
    this.#events.push({ event, id: fields.get('id') ?? '', data: JSON.parse(fields.get('data') ?? 'null') })
  }
}

/** A WebSocket to the gateway of a rig, with what it said. */
export class Talk {
  readonly socket: WebSocket
  readonly #frames: Readonly<Record<string, unknown>>[] = []
  #wake: () => void = () => undefined
  closeCode: number | undefined

  constructor(
    t: TestContext,
    rig: Pick<Rig, 'port'>,
    options: { readonly token?: string; readonly headers?: Readonly<Record<string, string>> } = {}
  ) {
    const headers = { ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }), ...options.headers }
    this.socket = new WebSocket(`ws://127.0.0.1:${rig.port}/v1/ws`, { headers })
    this.socket.on('error', () => undefined)
    this.socket.on('message', (data: Buffer) => {
      this.#frames.push(JSON.parse(data.toString()) as Readonly<Record<string, unknown>>)
      this.#wake()
    })
    this.socket.on('close', (code) => {
      this.closeCode = code
      this.#wake()
    })
    t.after(() => this.socket.terminate())
  }

  async opened(): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN) await once(this.socket, 'open', { signal: AbortSignal.timeout(patienceMs) })
    return this
  }

  say(frame: object | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** The first frame that `isWanted`; others stay. */
  async hear(isWanted: (frame: Readonly<Record<string, unknown>>) => boolean = () => true): Promise<Readonly<Record<string, unknown>>> {
    const deadline = AbortSignal.timeout(patienceMs)
    for (;;) {
      const index = this.#frames.findIndex(isWanted)
      if (index >= 0) return this.#frames.splice(index, 1)[0] ?? {}
      assert.equal(this.closeCode, undefined, 'closed')
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#wake = resolve
      deadline.addEventListener('abort', () => reject(new Error('no such frame')), { once: true })
      await promise
    }
  }

  async closed(): Promise<number> {
    if (this.closeCode === undefined) await once(this.socket, 'close', { signal: AbortSignal.timeout(patienceMs) })
    return this.closeCode ?? 0
  }
}
