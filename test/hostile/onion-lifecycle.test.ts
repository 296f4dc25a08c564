import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createSigner } from '../../src/crypto/index.ts'
import { bundleChild } from '../crash/bundle-child.ts'
import { random, until } from '../net/support.ts'
import { Child } from './child-calls.ts'
import { Battle } from './onion-battle.ts'
import type { LifecycleCalls, Look } from './onion-lifecycle-child.ts'
import { startTrap } from './trap.ts'

const ten = 10
/** How many hops a path gets that goes to and fro, round, stays, or through an endpoint. */
const passes = { fro: 2, round: 9, self: 1, through: 2 } as const

describe('a relay under attack', () => {
  let battle: Battle
  before(async () => {
    battle = await Battle.start(ten)
  })
  after(() => battle[Symbol.asyncDispose]())

  for (const as of ['client', 'relay'] as const)
    for (const from of [1, ten])
      test(`500 CREATEs a second from each of ${from} ${as === 'client' ? 'clients' : 'listed relays'}`, async (t) => {
        const { notes, seconds } = await battle.assault(t, { attacks: ['creates'], from, as })
        // What the relay does not read is held back.
        assert.ok((notes['sent'] ?? 0) + (notes['held back'] ?? 0) >= 300 * seconds * from, JSON.stringify(notes))
      })

  test('cells that mean nothing cost the rate of their senders, and nobody else', async (t) => {
    const { notes, seconds } = await battle.assault(t, { attacks: ['padding', 'link', 'unknown', 'halves', 'destroys'], from: ten })
    // A rate and a burst of 1 MiB for each network, what is light for each link, and what is under way.
    assert.ok((notes['sent'] ?? 0) < ten * (1_056 * (seconds + 2) + 2_000 + 4_096), JSON.stringify(notes))
  })

  test('puzzles that nobody solves, guessed SENDMEs, and links that come and go', async (t) => {
    const { notes } = await battle.assault(t, { attacks: ['puzzles', 'forgedSendme', 'churn'], from: ten, as: 'relay' })
    assert.ok((notes['ended'] ?? 0) > 0 && (notes['stayed'] ?? 0) === 0, JSON.stringify(notes))
  })

  test('circuits that lead nowhere, back, round, or to those who never answer', async (t) => {
    await using trap = await startTrap()
    const silent = Array.from({ length: 100 }, () => ({
      target: { publicKey: createSigner(random.bytes(32), 'test').publicKey, onionKey: random.bytes(32) },
      addresses: [trap.address]
    }))
    const attacks = ['extendUnknown', 'extendNeighbours', 'loops', 'extendSilent'] as const
    const { notes } = await battle.assault(t, { attacks, from: ten, as: 'relay', others: [...battle.members, ...silent] })
    assert.ok(trap.connections > 0 && trap.connections < 2_000, `${trap.connections} calls`)
    // An attacker may have had no time for it.
    const ended = Object.keys(notes).filter((what) => what.includes(' ended after ') && !what.endsWith('TIMEOUT'))
    assert.deepEqual(new Set(ended), new Set(Object.entries(passes).map(([how, hops]) => `${how} ended after ${hops}: CIRCUIT_EXTEND_REFUSED`)))
    for (const reason of ['unknown', 'refused']) assert.ok((notes[reason] ?? 0) > 0, JSON.stringify(notes))
  })
})

test('hundreds of circuits with all that they may have under way, of which nobody reads anything', async (t) => {
  await using battle = await Battle.start(6, { bytesPerSecond: 33_554_432, relayCreatesPerSecond: 1_000, relayCreateBurst: 1_000 })
  const { last } = await battle.assault(t, { attacks: ['unread', 'unread', 'unreadEnds'], from: 6, as: 'relay', ms: 5_000 })
  t.diagnostic(`${last.counters.stuck} circuits ended, since nobody took their cells`)
  assert.ok(last.counters.stuck > 0)
})

test('a thousand circuits are built, used and closed, and neither the client nor the relay nor the far end keeps anything', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sm-thousand-'))
  const program = await bundleChild(fileURLToPath(new URL('../..', import.meta.url)), folder, 'onion-lifecycle-child')
  const wide = { clientCreateBurst: 10_000, relayCreateBurst: 10_000, relayCreatesPerSecond: 1_000, bytesPerSecond: 33_554_432 }
  const start = (): Promise<Child<LifecycleCalls>> => Child.start<LifecycleCalls>(program, ['127.0.0.1', JSON.stringify(wide)])
  await using client = await start()
  await using relay = await start()
  await using end = await start()
  const path = [await relay.call('card'), await end.call('card')] as const
  for (const child of [relay, end]) await child.call('know', path)
  const all = [client, relay, end]
  const look = async (): Promise<readonly Look[]> => {
    await until(async () => (await Promise.all(all.map((child) => child.call('look', { collect: false })))).every(isEmpty), 'no circuit is left')
    return Promise.all(all.map((child) => child.call('look', { collect: true })))
  }
  assert.equal(await client.call('live', { path, count: 200 }), 200)
  const early = await look()
  const startedAt = performance.now()
  assert.equal(await client.call('live', { path, count: 1_000 }), 1_000)
  const seconds = (performance.now() - startedAt) / 1_000
  const late = await look()
  rmSync(folder, { recursive: true, force: true })
  const more = late.map(({ used }, index) => used - (early[index]?.used ?? 0))
  t.diagnostic(`${seconds.toFixed(1)} s; client, relay, far end: ${more.map((bytes) => Math.round(bytes / 1_024)).join(', ')} KiB more in use`)
  for (const [index, { connections, links, timers, counters }] of late.entries()) {
    assert.deepEqual([connections, links], [early[index]?.connections, early[index]?.links])
    assert.ok(timers <= (early[index]?.timers ?? 0) + 4, `${timers} timers after ${early[index]?.timers}`)
    assert.deepEqual([counters.violations, counters.stuck], [0, 0])
  }
  // What each request was is remembered, so that none is answered twice.
  for (const bytes of more) assert.ok(bytes < 2_097_152, `${bytes} bytes more`)
})

const isEmpty = ({ counters }: Look): boolean => counters.circuits + counters.queuedBytes + counters.waitingCreates === 0
