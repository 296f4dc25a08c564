import type { Mesh } from '../../src/node/index.ts'

const readMs = 20

/** What became of the messages of a sender. */
export interface Sent {
  readonly accepted: readonly string[]
  /** Of those, the ones that the recipient did not say it has. */
  readonly notStored: readonly string[]
  readonly errors: readonly string[]
}

/** Sends durable messages to one peer, `perSecond` of them whatever becomes of the connection. */
export class Sender {
  readonly #mesh: Mesh
  readonly #to: string
  readonly #perSecond: number
  readonly #started = performance.now()
  /** An id is used once in the life of a node. */
  readonly #run = `k${Date.now().toString(36)}`
  readonly #timer: NodeJS.Timeout
  readonly #accepted = new Set<string>()
  readonly #stored = new Set<string>()
  readonly #errors: string[] = []
  readonly #sending = new Set<Promise<void>>()
  readonly #unsubscribe: () => void
  #count = 0

  constructor(mesh: Mesh, to: string, perSecond: number) {
    this.#mesh = mesh
    this.#to = to
    this.#perSecond = perSecond
    this.#unsubscribe = mesh.on('outbox', ({ id, status }) => {
      if (status === 'stored' || status === 'read') this.#stored.add(id)
    })
    this.#timer = setInterval(() => this.#catchUp(), 10)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#unsubscribe()
  }

  /** Sends no more, and waits up to `timeoutMs` until all is stored at the peer. */
  async finish(timeoutMs: number): Promise<Sent> {
    clearInterval(this.#timer)
    await Promise.all(this.#sending)
    const deadline = performance.now() + timeoutMs
    while (this.#stored.size < this.#accepted.size && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, readMs))
    this.stop()
    return { accepted: [...this.#accepted], notStored: [...this.#accepted].filter((id) => !this.#stored.has(id)), errors: this.#errors }
  }

  #catchUp(): void {
    const due = ((performance.now() - this.#started) / 1_000) * this.#perSecond
    while (this.#count < due) {
      const sending = this.#send(`${this.#run}-${++this.#count}`)
      this.#sending.add(sending)
      void sending.finally(() => this.#sending.delete(sending))
    }
  }

  async #send(id: string): Promise<void> {
    try {
      await this.#mesh.send(this.#to, `body of ${id}`.padEnd(300, '.'), { id, waitFor: 'accepted' })
      this.#accepted.add(id)
    } catch (error) {
      this.#errors.push(`${id}: ${String(error)}`)
    }
  }
}

/** What a receiver was given. */
export interface Received {
  readonly ids: readonly string[]
  /** Given out once more after their acknowledgement was committed. */
  readonly againAfterAck: readonly string[]
  readonly errors: readonly string[]
  /** The longest time without a message, between the first and the last. */
  readonly longestGapMs: number
}

/** Reads the inbox of a node and acknowledges what it read. */
export class Receiver {
  readonly #mesh: Mesh
  readonly #given = new Set<string>()
  readonly #acked = new Set<string>()
  readonly #againAfterAck: string[] = []
  readonly #errors: string[] = []
  readonly #timer: NodeJS.Timeout
  #isReading = false
  #lastAt: number | undefined
  #longestGapMs = 0

  constructor(mesh: Mesh) {
    this.#mesh = mesh
    this.#timer = setInterval(() => void this.#read(), readMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  report(): Received {
    return { ids: [...this.#given], againAfterAck: this.#againAfterAck, errors: this.#errors, longestGapMs: Math.round(this.#longestGapMs) }
  }

  async #read(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    try {
      const { messages } = await this.#mesh.inbox.list({ limit: 500, handOut: true })
      for (const { id, body, redelivered } of messages) this.#take(id, Buffer.from(body).toString(), redelivered)
      if (messages.length > 0) await this.#mesh.inbox.ack(messages.map(({ id, source }) => ({ id, source: source.peerId })))
      for (const { id } of messages) this.#acked.add(id)
    } catch (error) {
      this.#errors.push(String(error))
    } finally {
      this.#isReading = false
    }
  }

  #take(id: string, body: string, redelivered: boolean): void {
    const now = performance.now()
    if (this.#lastAt !== undefined) this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAt)
    this.#lastAt = now
    if (this.#acked.has(id)) this.#againAfterAck.push(id)
    if (this.#given.has(id) && !redelivered) this.#errors.push(`${id} was handed out again and did not say so`)
    if (!body.startsWith(`body of ${id}.`)) this.#errors.push(`${id} came with another body`)
    this.#given.add(id)
  }
}
