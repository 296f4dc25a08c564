import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoiseHandshake, hybridSuite } from '../../../src/core/noise/index.ts'
import type { ResponderOptions } from '../../../src/core/session/index.ts'
import { End, addresses, bobOptions, crypto, openPair, settle, signers } from './support.ts'

interface Recording {
  /** What the initiator sent, in order: A, C, the confirmation, the commitment, the reveal, two messages, the end. */
  readonly frames: readonly Uint8Array[]
  readonly exporter: Uint8Array
}

const sessions = 200
const recordings: readonly Recording[] = Array.from({ length: sessions }, (_, index) => {
  const { alice, bob } = openPair()
  alice.say(`first ${index}`).say(`second ${index}`).input({ type: 'end' })
  const exporter = bob.machine.exportSecret('replay', new Uint8Array(0), 32)
  settle(alice, bob)
  assert.deepEqual(bob.heard, [`first ${index}`, `second ${index}`])
  return { frames: alice.sent, exporter }
})

/** Feeds frames to a responder: nothing may come out of it. */
function assertNothing(options: ResponderOptions, frames: readonly Uint8Array[]): void {
  const end = new End(options).start().receive(frames)
  assert.equal(end.facts, undefined)
  assert.deepEqual(end.data, [])
  assert.equal(end.words, undefined)
  // Whatever went beyond message A ended it.
  if (frames.length > 1) assert.notEqual(end.error, undefined)
}

test(`of ${sessions} recorded sessions, replayed whole to the same peer, nothing is delivered`, () => {
  for (const { frames } of recordings) assertNothing(bobOptions(), frames)
})

test(`of ${sessions} recorded sessions, replayed in part, nothing is delivered`, () => {
  recordings.forEach(({ frames }, index) => {
    assertNothing(bobOptions(), frames.slice(0, 1 + (index % frames.length)))
    assertNothing(bobOptions(), frames.slice(1 + (index % (frames.length - 1))))
    assertNothing(
      bobOptions(),
      frames.filter((_, at) => at !== index % frames.length)
    )
  })
})

test(`of ${sessions} recorded sessions, replayed to another peer, nothing is delivered`, () => {
  const mallory = bobOptions({ signer: signers.mallory, responder: addresses.mallory })
  for (const { frames } of recordings) assertNothing(mallory, frames)
})

test(`of ${sessions} recorded sessions, replayed after a restart, nothing is delivered`, () => {
  const staticKey = crypto.generateDh()
  const restarted = bobOptions({
    createHandshake: ({ suite, role, prologue, ephemeral }) =>
      new NoiseHandshake({ suite: hybridSuite(suite.level), role, crypto, staticKey, prologue, ephemeral })
  })
  for (const { frames } of recordings) assertNothing(restarted, frames)
})

test(`the records of ${sessions} sessions, replayed into one that is open, are refused`, () => {
  for (const { frames } of recordings.slice(0, sessions)) {
    const { alice, bob } = openPair()
    alice.say('mine')
    settle(alice, bob)
    for (const frame of frames.slice(2)) bob.receive([frame])
    bob.fails('SESSION_RECORD_INVALID')
    assert.deepEqual(bob.heard, ['mine'])
  }
})

test('no two sessions have the same secrets', () => {
  assert.equal(new Set(recordings.map(({ exporter }) => exporter.toString())).size, sessions)
})
