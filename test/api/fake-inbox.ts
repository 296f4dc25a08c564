import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { InboxState } from '../../src/core/message/types.ts'
import type { AgentInfo, Agents, ConsumerInfo, ConsumerOptions, Inbox, InboxQuery, ReceivedMessage } from '../../src/mesh/mesh.ts'

const epoch = Date.UTC(2026, 10, 23, 12)

/** An inbox in memory, with its named readers. */
export class FakeInbox implements Inbox {
  /** What each named reader acknowledged. */
  readonly readers = new Map<string, Set<string>>()
  readonly #received: ReceivedMessage[]
  readonly #peerIdOf: (name: string) => string

  constructor(received: ReceivedMessage[], peerIdOf: (name: string) => string) {
    this.#received = received
    this.#peerIdOf = peerIdOf
  }

  async list(query: InboxQuery = {}): ReturnType<Inbox['list']> {
    const states: readonly InboxState[] = query.states ?? ['unread']
    const from = query.from === undefined ? undefined : this.#peerIdOf(query.from)
    const matches = this.#received.filter(
      (each) =>
        each.position > (query.after ?? 0) &&
        states.includes(each.state) &&
        (query.types?.includes(each.type) ?? true) &&
        (from === undefined || each.source.peerId === from) &&
        !this.#finished(query.consumer).has(each.id)
    )
    const messages = matches.slice(0, query.limit ?? 50)
    if (query.handOut === true) await this.handOut(messages)
    return { messages, cursor: messages.at(-1)?.position ?? query.after ?? 0 }
  }

  async get(id: string): Promise<ReceivedMessage> {
    const found = this.#received.find((each) => each.id === id)
    if (found === undefined) throw new MeshError('MESSAGE_UNKNOWN', { id })
    return found
  }

  async ack(messages: readonly { readonly id: string }[], { consumer }: ConsumerOptions = {}): ReturnType<Inbox['ack']> {
    for (const { id } of messages) {
      if (consumer !== undefined) this.#finished(consumer).add(id)
      const index = this.#received.findIndex((each) => each.id === id)
      const found = this.#received[index]
      const isFinished = [...this.readers.keys()].every((name) => this.#finished(name).has(id))
      if (found !== undefined && isFinished) this.#received[index] = { ...found, state: 'read' }
    }
    return { acknowledged: messages.length, unknown: [] }
  }

  async handOut(messages: readonly Pick<ReceivedMessage, 'position'>[]): Promise<void> {
    for (const { position } of messages) {
      const found = this.#received[position - 1]
      if (found !== undefined) this.#received[position - 1] = { ...found, redelivered: true }
    }
  }

  async consumers(): Promise<readonly ConsumerInfo[]> {
    return [...this.readers].map(([name, finished]) => ({
      ...{ name, createdAt: wallMillis(epoch), usedAt: wallMillis(epoch + 60_000), idle: name === 'gone', acknowledged: finished.size }
    }))
  }

  async useConsumer(name: string): Promise<boolean> {
    const isNew = !this.readers.has(name)
    this.#finished(name)
    return isNew
  }

  async removeConsumer(name: string): Promise<void> {
    if (!this.readers.delete(name)) throw new MeshError('CONSUMER_UNKNOWN', { name })
  }

  async counts(): ReturnType<Inbox['counts']> {
    return {
      unread: this.#received.filter((each) => each.state === 'unread').length,
      held: this.#received.filter((each) => each.state === 'held').length,
      bytes: 5 * this.#received.length
    }
  }

  #finished(consumer: string | undefined): Set<string> {
    if (consumer === undefined) return new Set()
    const finished = this.readers.get(consumer) ?? new Set()
    this.readers.set(consumer, finished)
    return finished
  }
}

/** The agents of a node in memory. */
export class FakeAgents implements Agents {
  readonly labels = new Set<string>()

  async list(): Promise<readonly AgentInfo[]> {
    return [...this.labels].map((label) => ({ label, createdAt: wallMillis(epoch) }))
  }

  async add(label: string): Promise<boolean> {
    const isNew = !this.labels.has(label)
    this.labels.add(label)
    return isNew
  }

  async remove(label: string): Promise<void> {
    if (!this.labels.delete(label)) throw new MeshError('AGENT_UNKNOWN', { label })
  }
}
