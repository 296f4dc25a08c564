import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AgentLedger, ReadingAgent, SendingAgent } from './agents.ts'
import { bundleChild } from './bundle-child.ts'
import { MeshDaemon, pair } from './mesh-daemon.ts'
import { sleep } from './proc.ts'
import { randomOf } from './store-kill.ts'

/** Longest that a kill waits for messages to flow. */
const flowMs = 30_000

export interface DaemonKillOptions {
  readonly kills: number
  readonly seed: number
  /** The tree that the daemon is bundled from. */
  readonly root: string
  readonly onKill?: (done: number) => void
  /** Longest that everything accepted may take to be read once the kills are over; 120,000 by default. */
  readonly quiesceMs?: number
}

export interface DaemonKillReport {
  readonly kills: { readonly sender: number; readonly recipient: number; readonly both: number }
  readonly accepted: number
  readonly stored: number
  readonly read: number
  readonly redelivered: number
  readonly lostAccepted: readonly string[]
  readonly lostStored: readonly string[]
  readonly givenAfterAck: readonly string[]
  readonly notEnded: readonly string[]
  readonly damage: readonly string[]
  readonly wrong: readonly string[]
  readonly seconds: number
}

/** Two daemons as real processes, an agent at each, and kill -9 of one or both at random moments while messages flow. Everything that is wrong is in the report. */
export async function killDaemons({ kills, seed, root, onKill, quiesceMs = 120_000 }: DaemonKillOptions): Promise<DaemonKillReport> {
  const base = mkdtempSync(join(tmpdir(), 'sm-kill-'))
  const started = performance.now()
  const daemons: MeshDaemon[] = []
  try {
    const program = await bundleChild(root, join(base, 'program'), 'daemon')
    for (const name of ['alpha', 'beta']) daemons.push(await MeshDaemon.create(base, name, program))
    const run = new KillRun(daemons, randomOf(seed))
    try {
      await run.start()
      for (let done = 0; done < kills; done++) {
        await run.killOnce()
        onKill?.(done + 1)
      }
      const report = await run.finish(quiesceMs)
      return { ...report, seconds: (performance.now() - started) / 1_000 }
    } finally {
      run.stop()
    }
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.kill()))
    rmSync(base, { recursive: true, force: true })
  }
}

type Victim = 'sender' | 'recipient' | 'both'
const victims: readonly Victim[] = ['sender', 'recipient', 'both']

class KillRun {
  readonly #sender: MeshDaemon
  readonly #recipient: MeshDaemon
  readonly #random: () => number
  readonly #ledger = new AgentLedger()
  readonly #sending: SendingAgent
  readonly #reading: ReadingAgent
  readonly #kills = { sender: 0, recipient: 0, both: 0 }
  #agents: Promise<unknown> = Promise.resolve()

  constructor([sender, recipient]: readonly MeshDaemon[], random: () => number) {
    if (sender === undefined || recipient === undefined) throw new Error('two daemons are wanted')
    this.#sender = sender
    this.#recipient = recipient
    this.#random = random
    this.#sending = new SendingAgent(sender, recipient.name, this.#ledger)
    this.#reading = new ReadingAgent(recipient, this.#ledger, random)
  }

  async start(): Promise<void> {
    for (const daemon of [this.#sender, this.#recipient]) daemon.start()
    await Promise.all([this.#sender.ready(), this.#recipient.ready()])
    await pair(this.#sender, this.#recipient)
    this.#agents = Promise.all([this.#sending.send(), this.#sending.send(), this.#sending.watch(), this.#reading.read()])
  }

  /** Ends the agents. */
  stop(): void {
    this.#sending.stop()
    this.#reading.stop()
  }

  /** One kill: in four of five cases after messages went through again, else while the daemon starts. */
  async killOnce(): Promise<void> {
    const victim = victims[Math.floor(this.#random() * victims.length)] ?? 'both'
    this.#kills[victim] += 1
    const hit = victim === 'both' ? [this.#sender, this.#recipient] : [victim === 'sender' ? this.#sender : this.#recipient]
    if (this.#random() < 0.8) {
      await Promise.all([this.#sender.ready(), this.#recipient.ready()])
      await this.#flow()
    }
    await sleep(this.#random() * 120)
    await Promise.all(hit.map((daemon) => daemon.kill()))
    for (const daemon of hit) daemon.start()
  }

  /** Waits until everything that was accepted was read and ended, stops, and compares. */
  async finish(quiesceMs: number): Promise<Omit<DaemonKillReport, 'seconds'>> {
    await Promise.all([this.#sender.ready(), this.#recipient.ready()])
    this.#sending.stop()
    this.#reading.acknowledges = 1
    const { accepted, acked, ended, given, stored } = this.#ledger
    const unread = async (): Promise<number> => (await this.#recipient.client.call('inboxList', { limit: 1 })).unread
    // An acknowledgement whose answer was cut off by a kill may stand or not: only the inbox knows.
    const missing = (from: ReadonlySet<string>): readonly string[] => [...accepted].filter((id) => !from.has(id))
    const deadline = Date.now() + quiesceMs
    while ((missing(given).length > 0 || missing(ended).length > 0 || (await unread()) > 0) && Date.now() < deadline) {
      await this.#sending.poll(1_000)
      for (const id of missing(ended).slice(0, 100))
        await this.#sending.ask(id).catch((error: unknown) => this.#ledger.wrong.push(`${id}: ${String(error)}`))
      await sleep(50)
    }
    this.stop()
    await this.#agents
    const codes = await Promise.all([this.#sender.stop(), this.#recipient.stop()])
    return {
      kills: this.#kills,
      accepted: accepted.size,
      stored: stored.size,
      read: acked.size,
      redelivered: this.#ledger.redelivered,
      lostAccepted: missing(given),
      lostStored: [...stored].filter((id) => !given.has(id)),
      givenAfterAck: [...this.#ledger.givenAfterAck],
      notEnded: missing(ended),
      damage: [...this.#sender.integrity(), ...this.#recipient.integrity(), ...codes.flatMap((code) => (code === 0 ? [] : [`exit code ${code}`]))],
      wrong: [...new Set(this.#ledger.wrong)]
    }
  }

  /** Resolves when something new was read: messages go all the way. */
  async #flow(): Promise<void> {
    const before = this.#ledger.given.size
    const deadline = Date.now() + flowMs
    while (this.#ledger.given.size === before) {
      if (Date.now() > deadline) {
        this.#ledger.wrong.push(`no message went through within ${flowMs} ms after a start`)
        return
      }
      await sleep(2)
    }
  }
}
