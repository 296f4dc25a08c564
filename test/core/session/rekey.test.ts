import assert from 'node:assert/strict'
import { test } from 'node:test'
import { millis } from '../../../src/core/base/index.ts'
import { type End, aliceOptions, levels, openPair, settle } from './support.ts'

const never = { records: 2 ** 30, bytes: 2 ** 40, ms: 2 ** 40 }
const slow = (rekey: Partial<typeof never>): { readonly rekey: typeof never } => ({ rekey: { ...never, ...rekey } })

/** Both ends are in `epoch`, and still talk. */
function assertEpoch({ alice, bob }: { readonly alice: End; readonly bob: End }, epoch: number): void {
  settle(alice, bob)
  assert.equal(alice.machine.epoch, epoch)
  assert.equal(bob.machine.epoch, epoch)
  const before = [bob.data.length, alice.data.length] as const
  alice.say('still')
  bob.say('here')
  settle(alice, bob)
  assert.deepEqual(bob.heard.slice(before[0]), ['still'])
  assert.deepEqual(alice.heard.slice(before[1]), ['here'])
}

for (const level of levels) {
  test(`a rekey of level ${level} on request changes the keys of both directions`, () => {
    const pair = openPair({ alice: { level } })
    pair.alice.input({ type: 'rekey' })
    assertEpoch(pair, 1)
    pair.bob.input({ type: 'rekey' })
    assertEpoch(pair, 2)
    assert.deepEqual(pair.alice.epochs, [1, 2])
    assert.deepEqual(pair.bob.epochs, [1, 2])
  })
}

test('after so many records the sender asks for new keys', () => {
  const pair = openPair({ alice: slow({ records: 10 }), bob: slow({}) })
  // The confirmation, the commitment and the reveal were records, too.
  for (let count = 0; count < 6; count++) pair.alice.say('x')
  settle(pair.alice, pair.bob)
  assert.equal(pair.alice.machine.epoch, 0)
  pair.alice.say('x')
  assertEpoch(pair, 1)
})

test('after so many bytes the sender asks for new keys, and the receiver does when the sender does not', () => {
  for (const [alice, bob] of [
    [slow({ bytes: 10_000 }), slow({})],
    [slow({}), slow({ bytes: 9_000 })]
  ]) {
    const pair = openPair({ ...(alice && { alice }), ...(bob && { bob }) })
    for (let count = 0; count < 9; count++) pair.alice.input({ type: 'send', data: new Uint8Array(1_000) })
    settle(pair.alice, pair.bob)
    assert.equal(pair.alice.machine.epoch, 0)
    pair.alice.input({ type: 'send', data: new Uint8Array(1_000) })
    assertEpoch(pair, 1)
  }
})

test('after so long either side asks for new keys, the responder a sixteenth later', () => {
  const pair = openPair({ alice: slow({ ms: 600_000 }), bob: slow({ ms: 600_000 }) })
  assert.equal(pair.alice.machine.wakeAt, 600_000)
  assert.equal(pair.bob.machine.wakeAt, 637_500)
  pair.alice.input({ type: 'wake' }, millis(599_999))
  assert.deepEqual(pair.alice.frames, [])
  pair.alice.input({ type: 'wake' }, millis(600_000))
  settle(pair.alice, pair.bob, millis(600_000))
  assertEpoch(pair, 1)
  assert.equal(pair.alice.machine.wakeAt, 1_200_000)
  pair.bob.input({ type: 'wake' }, millis(1_237_500))
  settle(pair.alice, pair.bob, millis(1_237_500))
  assertEpoch(pair, 2)
})

test('of two requests that cross the one of the initiator wins, and the keys change once', () => {
  const pair = openPair({ alice: slow({}), bob: slow({}) })
  pair.alice.say('a1').input({ type: 'rekey' }).say('a2')
  pair.bob.say('b1').input({ type: 'rekey' }).say('b2')
  const fromAlice = pair.alice.take()
  const fromBob = pair.bob.take()
  pair.alice.receive(fromBob)
  assert.deepEqual(pair.alice.frames, [], 'the initiator answers nothing')
  pair.bob.receive(fromAlice)
  settle(pair.alice, pair.bob)
  assert.deepEqual(pair.bob.heard, ['a1', 'a2'])
  assert.deepEqual(pair.alice.heard, ['b1', 'b2'])
  assert.deepEqual([pair.alice.epochs, pair.bob.epochs], [[1], [1]])
  assertEpoch(pair, 1)
})

test('records under way under the old keys arrive while the new ones begin; afterwards the old ones open nothing', () => {
  const { alice, bob } = openPair({ alice: slow({}), bob: slow({}) })
  alice.input({ type: 'rekey' }).say('old 1').say('old 2')
  const [request = new Uint8Array(0), ...old] = alice.take()
  bob.receive([request])
  bob.receive(old.slice(0, 1))
  alice.receive(bob.say('new').take())
  assert.deepEqual(alice.heard, ['new'])
  bob.receive(old.slice(1))
  bob.receive(alice.take())
  assert.deepEqual(bob.heard, ['old 1', 'old 2'])
  assert.equal(bob.machine.epoch, 1)
  bob.receive(old.slice(1))
  bob.fails('SESSION_RECORD_INVALID')
})

test('the epoch in the header turns over after seven and goes on', () => {
  const pair = openPair()
  for (let epoch = 1; epoch <= 17; epoch++) {
    const now = millis(epoch * 2_000)
    ;(epoch % 2 === 0 ? pair.alice : pair.bob).input({ type: 'rekey' }, now)
    settle(pair.alice, pair.bob, now)
    assertEpoch(pair, epoch)
  }
})

test('a peer that asks for new keys again and again is cut off', () => {
  const { alice, bob } = openPair({ alice: slow({}), bob: slow({}) })
  for (let count = 0; count < 17; count++) {
    alice.input({ type: 'rekey' })
    settle(alice, bob)
  }
  bob.fails('PROTOCOL_LIMIT')
  assert.equal(alice.machine.epoch, 16)
})

test('each byte of a request, an answer and a first record, changed on its own, ends the session', () => {
  const steps = [0, 1, 2] as const
  for (const step of steps) {
    for (let position = 0; position < 900; position += step === 2 ? 1 : 41) {
      const { alice, bob } = openPair()
      alice.input({ type: 'rekey' })
      const change = (at: number, frames: readonly Uint8Array[]): readonly Uint8Array[] =>
        frames.map((frame) => (at === step && position < frame.length ? frame.with(position, (frame[position] ?? 0) ^ 1) : frame))
      const request = alice.take()
      bob.receive(change(0, request))
      const answer = bob.take()
      alice.receive(change(1, answer))
      const first = alice.take()
      bob.receive(change(2, first))
      if (position >= ([request, answer, first][step]?.[0]?.length ?? 0)) break
      const failed = step === 1 ? alice : bob
      failed.fails('SESSION_RECORD_INVALID')
    }
  }
})

test('a rekey whose ephemeral key or whose size is wrong is refused', () => {
  const { crypto } = aliceOptions()
  for (const publicKey of [new Uint8Array(32), new Uint8Array(31)]) {
    let open = false
    const lying = { ...crypto, generateDh: () => (open ? { publicKey, agree: () => new Uint8Array(32) } : crypto.generateDh()) }
    const { alice, bob } = openPair({ alice: { crypto: lying } })
    open = true
    alice.input({ type: 'rekey' })
    settle(alice, bob)
    bob.fails(publicKey.length === 32 ? 'HANDSHAKE_FAILED' : 'SESSION_RECORD_INVALID')
  }
})
