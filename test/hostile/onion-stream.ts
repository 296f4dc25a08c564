import type { Mesh } from '../../src/mesh/mesh.ts'
import { until } from '../net/support.ts'

/** What a recipient got of numbered messages, each of which it acknowledges. */
export class Reader {
  readonly #mesh: Mesh
  readonly #off: () => void
  readonly #read = new Set<string>()
  readonly #acked = new Set<string>()
  /** Ids that were handed out after their acknowledgement, or announced twice. */
  readonly again: string[] = []

  constructor(mesh: Mesh) {
    this.#mesh = mesh
    this.#off = mesh.on('message', ({ id, source }) => void this.#take(id, source.peerId))
  }

  get count(): number {
    return this.#acked.size
  }

  has(id: string): boolean {
    return this.#acked.has(id)
  }

  /** Looks into the inbox too: what is acknowledged is in it no more. */
  async check(): Promise<readonly string[]> {
    const { messages } = await this.#mesh.inbox.list({ limit: 1_000 })
    return [...this.again, ...messages.map(({ id }) => id).filter((id) => this.#acked.has(id))]
  }

  stop(): void {
    this.#off()
  }

  async #take(id: string, source: string): Promise<void> {
    if (this.#read.has(id)) this.again.push(id)
    this.#read.add(id)
    const { acknowledged } = await this.#mesh.inbox.ack([{ source, id }])
    if (acknowledged === 1) this.#acked.add(id)
  }
}

export interface Sent {
  readonly ids: readonly string[]
}

/** Sends `count` durable messages over circuits, one after the other is accepted, with a short pause between them. */
export async function sendStream(
  from: Mesh,
  to: string,
  options: { readonly name: string; readonly count: number; readonly pauseMs: number; readonly onSent?: (index: number) => void }
): Promise<Sent> {
  const { name, count, pauseMs, onSent = (): void => undefined } = options
  const ids: string[] = []
  for (let index = 0; index < count; index++) {
    const id = `${name}-${index}`
    await from.send(to, `${id} `.repeat(20), { id, via: 'onion', waitFor: 'accepted' })
    ids.push(id)
    onSent(index)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return { ids }
}

/** Waits until all of them were read; those that were not, otherwise. */
export async function allRead(reader: Reader, { ids }: Sent, timeoutMs: number): Promise<readonly string[]> {
  const missing = (): readonly string[] => ids.filter((id) => !reader.has(id))
  await until(() => missing().length === 0, 'every message is read', timeoutMs).catch(() => undefined)
  return missing()
}
