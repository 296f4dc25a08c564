import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createSigner } from '../../src/crypto/index.ts'
import { random } from '../net/support.ts'
import { Battle } from './onion-battle.ts'
import { startTrap } from './trap.ts'

const ten = 10
/** How many hops a path gets that goes to and fro, round, or stays. */
const passes = { fro: 2, round: 9, self: 1 } as const

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
    const { notes } = await battle.assault(t, { attacks, from: ten, as: 'relay', others: [...battle.relays, ...silent] })
    assert.ok(trap.connections > 0 && trap.connections < 2_000, `${trap.connections} calls`)
    const ended = Object.keys(notes).filter((what) => what.includes(' ended after '))
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
