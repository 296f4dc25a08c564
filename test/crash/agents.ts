import { isMeshError } from '../../src/core/base/index.ts'
import type { MeshDaemon } from './mesh-daemon.ts'
import { sleep } from './proc.ts'

/** A daemon that is killed answers with these; the agent asks again. */
const passing = ['DAEMON_UNREACHABLE', 'TIMEOUT', 'SHUTTING_DOWN', 'QUOTA', 'DISK_FULL', 'STORE_FAILED'] as const
const isPassing = (error: unknown): boolean => passing.some((code) => isMeshError(error, code))
const deadlineMs = 5_000
const ended = new Set(['stored', 'read', 'failed', 'expired-unknown'])

/** What the two agents saw, kept outside of everything that is killed. */
export class AgentLedger {
  readonly accepted = new Set<string>()
  /** Confirmed by the recipient, as the sender's outbox said at some time. */
  readonly stored = new Set<string>()
  readonly ended = new Set<string>()
  readonly given = new Set<string>()
  readonly acked = new Set<string>()
  readonly givenAfterAck = new Set<string>()
  readonly wrong: string[] = []
  /** Messages handed out a second time, because their acknowledgement had not come. */
  redelivered = 0
}

/** An agent that sends, and asks its outbox what became of it. The same id until the daemon says `accepted`. */
export class SendingAgent {
  readonly #daemon: MeshDaemon
  readonly #to: string
  readonly #ledger: AgentLedger
  #number = 0
  #isSending = true

  constructor(daemon: MeshDaemon, to: string, ledger: AgentLedger) {
    this.#daemon = daemon
    this.#to = to
    this.#ledger = ledger
  }

  /** Sends until `stop`, the same message until it is accepted. */
  async send(): Promise<void> {
    while (this.#isSending) {
      const id = `k-${++this.#number}`
      while (!(await this.#accept(id)) && this.#isSending) await sleep(10)
      await sleep(4)
    }
  }

  async watch(): Promise<void> {
    while (this.#isSending) {
      await this.poll(200)
      await sleep(100)
    }
  }

  stop(): void {
    this.#isSending = false
  }

  /** Asks for the newest `limit` messages. */
  async poll(limit: number): Promise<void> {
    try {
      const { messages } = await this.#daemon.client.call('outboxList', { limit }, { deadlineMs })
      for (const { id, status } of messages) this.#note(id, status)
    } catch (error) {
      if (!isPassing(error)) this.#ledger.wrong.push(`outbox: ${String(error)}`)
    }
  }

  /** Asks for one message that no list named. */
  async ask(id: string): Promise<void> {
    const { messages } = await this.#daemon.client.call('outboxList', { id }, { deadlineMs })
    for (const { id: found, status } of messages) this.#note(found, status)
  }

  async #accept(id: string): Promise<boolean> {
    try {
      const content = `body of ${id}`.padEnd(300, '.')
      const { status } = await this.#daemon.client.call('message', { destination: this.#to, content, id, wait: 'accepted' }, { deadlineMs })
      this.#ledger.accepted.add(id)
      this.#note(id, status)
      return true
    } catch (error) {
      if (isPassing(error)) return false
      this.#ledger.wrong.push(`send ${id}: ${String(error)}`)
      return true
    }
  }

  #note(id: string, status: string): void {
    const { stored, wrong } = this.#ledger
    if (ended.has(status)) this.#ledger.ended.add(id)
    if (status === 'stored' || status === 'read') stored.add(id)
    else if (stored.has(id)) wrong.push(`${id} was stored and is ${status} now`)
  }
}

/** An agent that reads, and acknowledges most of what it read; the rest it reads again later. */
export class ReadingAgent {
  readonly #daemon: MeshDaemon
  readonly #ledger: AgentLedger
  readonly #random: () => number
  #isReading = true
  /** The part that is acknowledged at the first reading. */
  acknowledges = 0.7

  constructor(daemon: MeshDaemon, ledger: AgentLedger, random: () => number) {
    this.#daemon = daemon
    this.#ledger = ledger
    this.#random = random
  }

  async read(): Promise<void> {
    while (this.#isReading) {
      try {
        await this.#readOnce()
      } catch (error) {
        if (!isPassing(error)) this.#ledger.wrong.push(`read: ${String(error)}`)
      }
      await sleep(20)
    }
  }

  stop(): void {
    this.#isReading = false
  }

  async #readOnce(): Promise<void> {
    const { client } = this.#daemon
    const { messages } = await client.call('inboxRead', { limit: 200 }, { deadlineMs })
    for (const { id, body, redelivered } of messages) this.#take(id, { body, redelivered })
    const id = messages.map((message) => message.id).filter(() => this.#random() < this.acknowledges)
    if (id.length === 0) return
    const { unknown } = await client.call('inboxAck', { id }, { deadlineMs })
    for (const each of unknown) this.#ledger.wrong.push(`the acknowledgement of ${each} found no message`)
    for (const each of id) this.#ledger.acked.add(each)
  }

  #take(id: string, { body, redelivered }: { readonly body: string; readonly redelivered: boolean }): void {
    const { given, acked, givenAfterAck, wrong } = this.#ledger
    if (acked.has(id)) givenAfterAck.add(id)
    if (given.has(id) && !redelivered) wrong.push(`${id} was handed out again and did not say so`)
    if (given.has(id)) this.#ledger.redelivered += 1
    if (!body.startsWith(`body of ${id}.`)) wrong.push(`${id} came with another body`)
    given.add(id)
  }
}
