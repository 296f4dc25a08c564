import assert from 'node:assert/strict'
import { MeshError, millis } from '../../../src/core/base/index.ts'
import {
  decodeBatch,
  decodeEnvelope,
  type OutboxEntry,
  OutboxMachine,
  type OutboxOptions,
  type OutboxOutput,
  type OutboxRow,
  type Receipt,
  type RefusalCode,
  sealReceipts
} from '../../../src/core/message/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { alice, bob, draft, epoch, instant, tools } from './samples.ts'

export type Output<Type extends OutboxOutput['type']> = Extract<OutboxOutput, { type: Type }>

/** An outbox machine with a store that answers when it is told to, and a clock that is moved by hand. */
export class Outbox {
  readonly machine: OutboxMachine
  now: number
  readonly outputs: OutboxOutput[] = []
  readonly rows = new Map<string, OutboxRow>()
  #call = 0
  #seen = 0

  constructor(options: Partial<OutboxOptions> = {}) {
    const at = options.at ?? instant(1_000_000)
    this.now = at.monotonic
    this.machine = new OutboxMachine({
      ...tools,
      recovery: { epoch, pending: [], sequences: [], retries: [] },
      at,
      random: new SeededRandom(1),
      signer: alice,
      maxMessages: 100_000,
      maxBytes: 1_000_000_000,
      ...options
    })
  }

  input(input: Parameters<OutboxMachine['handle']>[0]): readonly OutboxOutput[] {
    const outputs = this.machine.handle(input, millis(this.now))
    this.outputs.push(...outputs)
    for (const output of outputs) if (output.type === 'enqueue') this.rows.set(output.row.id, output.row)
    return outputs
  }

  /** Outputs of a type since the last call of `fresh`. */
  fresh(): readonly OutboxOutput[] {
    const fresh = this.outputs.slice(this.#seen)
    this.#seen = this.outputs.length
    return fresh
  }

  all<Type extends OutboxOutput['type']>(type: Type): readonly Output<Type>[] {
    return this.outputs.filter((output): output is Output<Type> => output.type === type)
  }

  last<Type extends OutboxOutput['type']>(type: Type): Output<Type> {
    const found = this.all(type).at(-1)
    assert.ok(found, `no output ${type}`)
    return found
  }

  submit(change: Parameters<typeof draft>[0] = {}): number {
    const call = ++this.#call
    this.input({ type: 'submit', call, draft: draft(change), at: instant(this.now) })
    return call
  }

  commit(...calls: readonly number[]): void {
    this.input({ type: 'enqueued', results: calls.map((call) => ({ call, outcome: { outcome: 'accepted' } as const })) })
  }

  accept(change: Parameters<typeof draft>[0] = {}): void {
    this.commit(this.submit(change))
  }

  connect(link = 1, capacityBytes?: number): void {
    this.input({ type: 'connected', destination: bob.publicKey, via: 'direct', link, path: 'direct', capacityBytes })
  }

  settle(): void {
    this.input({ type: 'settled', token: this.last('settle').token })
  }

  wake(): void {
    assert.ok(this.machine.wakeAt !== undefined)
    this.now = Math.max(this.now, this.machine.wakeAt)
    this.input({ type: 'wake' })
  }

  advanceTo(time: number): void {
    for (let wakes = 0; this.machine.wakeAt !== undefined && this.machine.wakeAt <= time; wakes++) {
      assert.ok(wakes < 1_000, 'wakes without end')
      this.wake()
    }
    this.now = time
  }

  /** Bob's receipts for everything in the last batch. */
  receive(verdict: { readonly state: 'stored' | 'read' | 'held' } | RefusalCode, frame = this.last('send').frame): void {
    const says = typeof verdict === 'string' ? ({ state: 'refused', code: verdict } as const) : ({ state: verdict.state, code: undefined } as const)
    const receipts = decodeBatch(frame).envelopes.map((bytes): Receipt => {
      const { id, sequence } = decodeEnvelope(bytes)
      return { id, digest: tools.sha256(bytes), epoch, sequence, ...says }
    })
    this.input({ type: 'receipts', source: bob.publicKey, frame: sealReceipts(alice.publicKey, receipts, bob) })
  }

  states(id = 'm-1'): readonly string[] {
    return this.all('state')
      .filter(({ entry }) => entry.id === id)
      .map(({ entry }) => (entry.failure === '' ? entry.state : `${entry.state} ${entry.failure}`))
  }
}

export const stored = { state: 'stored' } as const
export const sequencesOf = (frame: Uint8Array): readonly number[] => decodeBatch(frame).envelopes.map((bytes) => decodeEnvelope(bytes).sequence)
export const diskFull = new MeshError('DISK_FULL')

export const entryOf = ({ envelope, ...row }: OutboxRow): OutboxEntry => ({ ...row, bytes: envelope.length })
