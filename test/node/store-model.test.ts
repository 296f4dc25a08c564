import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type InboxRow,
  type InboxState,
  type MessageType,
  type OutboxEntry,
  type OutboxState,
  inboxStates,
  outboxStates,
  routes
} from '../../src/core/message/index.ts'
import { equalBytes } from '../../src/core/base/index.ts'
import { StoreEngine } from '../../src/node/sqlite/engine.ts'
import type { StoreArguments, StoreCallName, StoreResult } from '../../src/node/sqlite/calls.ts'
import { memoryPath, openDatabase } from '../../src/node/sqlite/open.ts'
import { MemoryInbox } from '../../src/testing/memory-inbox.ts'
import { MemoryOutbox } from '../../src/testing/memory-outbox.ts'
import { epochOf, generous, inbound, instant, keyOf, outboxRow } from './messages.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const sources = ['ada', 'bob'] as const
const types = ['Thought', 'Command'] as const
const limits = { ...generous, maxMessages: 14, maxBytes: 900, maxMessagesOfSource: 9, maxBytesOfSource: 550 }

/** The store as it is on its thread, called directly. */
class Real {
  readonly #engine = new StoreEngine(openDatabase(memoryPath), memoryPath)

  call<Name extends StoreCallName>(name: Name, args: StoreArguments<Name>): StoreResult<Name> {
    const [reply] = this.#engine.run([{ number: 1, name, args } as Parameters<StoreEngine['run']>[0][number]]).replies
    if (reply?.ok !== true) return assert.fail(JSON.stringify(reply))
    return reply.value as StoreResult<Name>
  }

  close(): void {
    this.#engine.close()
  }
}

interface Model {
  readonly inbox: MemoryInbox
  readonly outbox: MemoryOutbox
  /** The floor that each source stated last: honest senders send nothing below it again. */
  readonly floors: Map<string, number>
  readonly known: Set<string>
}

type Command = fc.Command<Model, Real>
const command = (name: string, run: (model: Model, real: Real) => void): Command => ({ check: () => true, run, toString: () => name })
const inOrder = (rows: readonly InboxRow[]): readonly InboxRow[] => rows.toSorted((a, b) => a.position - b.position)
const byId = (rows: readonly OutboxEntry[]): readonly OutboxEntry[] => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))

interface Draft {
  readonly above: number
  readonly variant: number
  readonly type: (typeof types)[number]
  readonly bytes: number
}

const drafts = fc.array(
  fc.record({ above: fc.nat(7), variant: fc.constantFrom(0, 0, 0, 1), type: fc.constantFrom(...types), bytes: fc.integer({ min: 1, max: 150 }) }),
  { maxLength: 5 }
)
const source = fc.constantFrom(...sources)
const route = fc.constantFrom(...routes)

const admit = fc.tuple(source, fc.constantFrom('first', 'second'), drafts, fc.boolean(), fc.nat(2)).map(([name, epoch, given, paired, raise]) =>
  command(`admit ${name} ${epoch} ${JSON.stringify(given)} paired ${paired} raise ${raise}`, (model, real) => {
    const key = `${name} ${epoch}`
    const floor = (model.floors.get(key) ?? 1) + raise
    model.floors.set(key, floor)
    const messages = given.map((draft) => messageOf({ name, epoch, floor }, draft))
    const expected = model.inbox.admit(messages, floor, { ...limits, paired })
    assert.deepEqual(real.call('admit', { messages, floor, limits: { ...limits, paired } }), messages.length === 0 ? [] : expected)
  })
)

function messageOf(
  { name, epoch, floor }: { readonly name: string; readonly epoch: string; readonly floor: number },
  { above, variant, type, bytes }: Draft
): ReturnType<typeof inbound> {
  const sequence = floor + above
  const envelope = Buffer.from(`${epoch} ${sequence} ${variant} ${type} ${bytes}`.padEnd(bytes, '.'))
  // One id in eight belongs to the next sequence too: a conflict of ids.
  const id = `${epoch}-${sequence + (sequence % 8 === 0 ? 1 : 0)}`
  return inbound(id, sequence, {
    source: keyOf(name),
    via: sequence % 3 === 0 ? 'onion' : 'direct',
    epoch: epochOf(`${name} ${epoch}`),
    type,
    envelope: new Uint8Array(envelope)
  })
}

const list = fc
  .record({
    after: fc.nat(20),
    limit: fc.integer({ min: 1, max: 30 }),
    types: fc.option(fc.subarray([...types]), { nil: undefined }),
    source: fc.option(source, { nil: undefined }),
    states: fc.subarray([...inboxStates]),
    handOut: fc.boolean()
  })
  .map((given) =>
    command(`list ${JSON.stringify(given)}`, (model, real) => {
      const filter: { types: readonly MessageType[] | undefined; states: readonly InboxState[] } & Omit<typeof given, 'types' | 'states'> = given
      const whole = { ...filter, source: given.source === undefined ? undefined : keyOf(given.source) }
      // The model does not order rows whose state changed; the limit is compared where it does not bite.
      const expected = model.inbox.list({ ...whole, limit: 1_000 })
      assert.deepEqual(remembered(model, real.call('listInbox', { ...whole, limit: 1_000 })), remembered(model, inOrder(expected)))
    })
  )

/** Rows but for those that were read and that no sender sends again: when those are forgotten is each store's own affair. */
function remembered({ floors }: Model, rows: readonly InboxRow[]): readonly InboxRow[] {
  const ended = ({ state, sequence, epoch }: InboxRow): boolean =>
    state === 'read' && [...floors].some(([name, floor]) => equalBytes(epochOf(name), epoch) && sequence < floor)
  return rows.filter((row) => !ended(row))
}

const ack = fc.tuple(source, fc.constantFrom('first', 'second'), fc.array(fc.nat(25), { maxLength: 6 })).map(([name, epoch, numbers]) =>
  command(`ack ${name} ${epoch} ${numbers.join()}`, (model, real) => {
    const messages = numbers
      .map((number) => ({ source: keyOf(name), id: `${epoch}-${number}` }))
      .filter(({ id }) => (model.floors.get(`${name} ${epoch}`) ?? 1) <= Number(id.split('-')[1]) - 1)
    const expected = messages.map((message) => model.inbox.ack(message.source, message.id))
    assert.deepEqual(real.call('ack', { messages, reader: undefined }), expected)
  })
)

const release = source.map((name) =>
  command(`release ${name}`, (model, real) => assert.deepEqual(real.call('release', keyOf(name)), inOrder(model.inbox.release(keyOf(name)))))
)

const counts = fc.constant(
  command('counts', (model, real) => {
    const rows = model.inbox.rows()
    const count = (state: InboxState): number => rows.filter((row) => row.state === state).length
    assert.deepEqual(real.call('inboxCounts', undefined), {
      unread: count('unread'),
      held: count('held'),
      bytes: rows.reduce((sum, row) => sum + row.envelope.length, 0)
    })
  })
)

const enqueue = fc
  .tuple(source, fc.nat(12), fc.constantFrom(0, 0, 0, 1), fc.integer({ min: 1, max: 40 }), route)
  .map(([to, number, variant, sequence, via]) =>
    command(`enqueue ${to} ${via} ${number} ${variant} ${sequence}`, (model, real) => {
      const row = outboxRow(`o${number}`, { destination: keyOf(to), via, sequence, digest: keyOf(`content ${number} ${variant}`) })
      model.known.add(row.id)
      assert.deepEqual(real.call('enqueue', row), model.outbox.enqueue(row))
    })
  )

const settle = fc.array(fc.tuple(fc.nat(12), fc.constantFrom(...outboxStates), fc.nat(5)), { maxLength: 4 }).map((changes) =>
  command(`settle ${JSON.stringify(changes)}`, (model, real) => {
    const known = changes
      .map(([number, state, attempts]: readonly [number, OutboxState, number]) => ({
        id: `o${number}`,
        state,
        attempts,
        path: 'direct',
        failure: state === 'failed' ? 'QUOTA' : '',
        settledMs: attempts * 10
      }))
      .filter(({ id }) => model.known.has(id))
    model.outbox.settle(known)
    real.call('settle', known)
  })
)

const retry = fc.tuple(source, route, fc.nat(9)).map(([to, via, attempts]) =>
  command(`retry ${to} ${via} ${attempts}`, (model, real) => {
    const saved = { destination: keyOf(to), via, attempts, lastAttempt: instant(attempts) }
    model.outbox.saveRetry(saved)
    real.call('saveRetry', saved)
  })
)

const recover = fc.constant(
  command('recover', (model, real) => {
    const [expected, found] = [model.outbox.recover(), real.call('recoverOutbox', undefined)]
    assert.deepEqual(byId(found.pending), byId(expected.pending))
    assert.deepEqual(new Set(found.sequences), new Set(expected.sequences))
    assert.deepEqual(new Set(found.retries), new Set(expected.retries))
    const filter = { states: undefined, destination: undefined, limit: 1_000 }
    assert.deepEqual(byId(real.call('listOutbox', filter)), byId(model.outbox.list(filter)))
    const ids = found.pending.map(({ id }) => id)
    assert.deepEqual(real.call('loadOutbox', ids), model.outbox.load(ids))
  })
)

test(`the SQLite store does what the store in memory does, for any series of calls (SEED=${seed})`, { timeout: 120_000 }, () => {
  const commands = fc.commands([admit, admit, ack, list, release, counts, enqueue, settle, retry, recover], { maxCommands: 60, size: 'max' })
  fc.assert(
    fc.property(commands, (calls) => {
      const real = new Real()
      try {
        const model: Model = { inbox: new MemoryInbox(), outbox: new MemoryOutbox(new Uint8Array(16)), floors: new Map(), known: new Set() }
        fc.modelRun(() => ({ model, real }), calls)
      } finally {
        real.close()
      }
    }),
    { seed, numRuns: Number(process.env['RUNS'] ?? 150) }
  )
})
