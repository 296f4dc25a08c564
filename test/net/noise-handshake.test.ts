import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { MemoryDatastore } from 'datastore-core'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { isMeshError } from '../../src/core/base/index.ts'
import { BoundedPeerMemory, rememberedPeers } from '../../src/mesh/hybrid-noise/index.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { openNoiseMemory } from '../../src/node/noise-memory.ts'
import { classicalId, hybridId, type Meeting, meet, newKey, type NoiseSide, ourSide, stockSide } from './noise-pair.ts'

/** What the initiator sends (A, C) and the responder (B), as they are on the wire. */
async function framesOf(protocol: string, initiator: NoiseSide, responder: NoiseSide): Promise<readonly [Uint8Array, Uint8Array, Uint8Array]> {
  const near: Uint8Array[] = []
  const far: Uint8Array[] = []
  const outcome = await meet(initiator, responder, {
    protocol,
    fromInitiator: (frame) => (near.push(frame), frame),
    fromResponder: (frame) => (far.push(frame), frame)
  })
  assert.ok(outcome.every(({ status }) => status === 'fulfilled'))
  return [near[0] ?? fail(), far[0] ?? fail(), near[1] ?? fail()]
}

const fail = (): never => assert.fail('a message is missing')

const flipped =
  (at: number, message: number): ((frame: Uint8Array, number: number) => Uint8Array) =>
  (frame, number) => {
    if (number === message) frame[at] = (frame[at] ?? 0) ^ 0x01
    return frame
  }

/** Where a byte of A, B or C is flipped on its way. */
function flipOf(name: string, at: number): Omit<Meeting, 'protocol'> {
  if (name === 'B') return { fromResponder: flipped(at, 0) }
  return { fromInitiator: flipped(at, name === 'A' ? 0 : 1) }
}

test('each byte of A, B and C flipped, in turn, ends in typed failures on both sides', { timeout: 120_000 }, async () => {
  const [initiator, responder] = [await ourSide(), await ourSide()]
  for (const protocol of [hybridId, classicalId]) {
    // The initiator of the classical run would find the downgrade; here only `/noise` is offered.
    const sides = protocol === hybridId ? [initiator, responder] : [await ourSide({ levels: [1] }), await ourSide({ levels: [5] })]
    const [near = initiator, far = responder] = sides
    const messages = await framesOf(protocol, near, far)
    for (const [index, frame] of messages.entries()) {
      const name = 'ABC'.charAt(index)
      for (let at = 2; at < frame.length; at++) {
        const [first, second] = await meet(near, far, { protocol, ...flipOf(name, at) })
        const where = `${protocol}, byte ${at} of ${name}`
        // Only the responder can know of a bad C; it ends the connection.
        if (name !== 'C') assert.ok(first.status === 'rejected' && isMeshError(first.reason, 'HANDSHAKE_FAILED'), where)
        assert.ok(second.status === 'rejected' && isMeshError(second.reason, 'HANDSHAKE_FAILED'), where)
      }
    }
  }
})

test('a wrong length, a cut message and an end in the middle are typed failures, before anything is computed', async () => {
  const [initiator, responder] = [await ourSide(), await ourSide()]
  const reasons = async (meeting: Omit<Meeting, 'protocol'>): Promise<readonly unknown[]> => {
    const before = [initiator.failures.length, responder.failures.length]
    await meet(initiator, responder, { protocol: hybridId, ...meeting })
    return [initiator.failures.slice(before[0]), responder.failures.slice(before[1])].map((failures) => failures.map(({ reason }) => reason).join())
  }
  const length = (to: number) => (frame: Uint8Array) => {
    frame[0] = to >>> 8
    frame[1] = to
    return frame
  }
  assert.deepEqual(await reasons({ fromInitiator: length(1_215) }), ['closed', 'length'])
  assert.deepEqual(await reasons({ fromInitiator: length(1_217) }), ['closed', 'length'])
  assert.deepEqual(await reasons({ fromResponder: length(1_199) }), ['length', 'closed'])
  assert.deepEqual(await reasons({ fromResponder: length(65_535) }), ['length', 'closed'])
  assert.deepEqual(await reasons({ fromResponder: (frame) => frame.subarray(0, 700), deadlineMs: 200 }), ['timeout', 'timeout'])
})

test('a key of ML-KEM out of range is refused by its own reason (FIPS 203 section 7.2)', async () => {
  const [initiator, responder] = [await ourSide(), await ourSide()]
  const [near, far] = await meet(initiator, responder, {
    protocol: hybridId,
    fromInitiator: (frame, number) => (number === 0 ? frame.fill(255, 34, 37) : frame)
  })
  assert.ok(near.status === 'rejected' && far.status === 'rejected')
  assert.deepEqual([initiator.failures[0]?.reason, responder.failures[0]?.reason], ['closed', 'kem-key'])
})

test('a key of X25519 without a secret is refused (RFC 7748 section 6.1)', async () => {
  const [initiator, responder] = [await ourSide(), await ourSide()]
  await meet(initiator, responder, { protocol: hybridId, fromInitiator: (frame, number) => (number === 0 ? frame.fill(0, 2, 34) : frame) })
  assert.equal(responder.failures[0]?.reason, 'dh-key')
})

test('another identity than the one that was called is IDENTITY_MISMATCH', async () => {
  const [initiator, responder, other] = [await ourSide(), await ourSide(), await ourSide()]
  const [near, far] = await meet(initiator, responder, { protocol: hybridId, expected: other.peerId })
  assert.ok(near.status === 'rejected' && isMeshError(near.reason, 'IDENTITY_MISMATCH'))
  assert.equal(far.status, 'rejected')
  assert.equal(initiator.failures[0]?.reason, 'identity')
})

test('a static key that was signed by another key than the one shown is refused', async () => {
  const [honest, thief, victim] = [await newKey(), await newKey(), await newKey()]
  // Shows the victim's public key, and has only its own to sign with.
  const forged: PrivateKey = Object.create(thief, { publicKey: { value: victim.publicKey } })
  const [near, far] = [await ourSide({}, honest), await ourSide({}, forged)]
  const [first] = await meet(near, far, { protocol: hybridId, expected: peerIdFromPrivateKey(victim) })
  assert.ok(first.status === 'rejected' && isMeshError(first.reason, 'HANDSHAKE_FAILED'))
  assert.deepEqual(
    near.failures.map(({ reason }) => reason),
    ['signature']
  )
})

test('plain Noise meets the stock encrypter in both directions, and each knows the other', async () => {
  const [ours, stock] = [await ourSide(), await stockSide()]
  for (const [near, far] of [[ours, stock] as const, [stock, ours] as const]) {
    const [first, second] = await meet(near, far, { protocol: classicalId })
    assert.ok(first.status === 'fulfilled' && second.status === 'fulfilled')
    assert.ok(first.value.remotePeer.equals(far.peerId) && second.value.remotePeer.equals(near.peerId))
  }
})

test('a handshake with ourselves reflected at us fails', async () => {
  const ours = await ourSide()
  const first: Uint8Array[] = []
  const [near] = await meet(ours, ours, {
    protocol: hybridId,
    fromInitiator: (frame) => (first.push(frame.slice()), frame),
    fromResponder: () => first[0] ?? fail()
  })
  assert.ok(near.status === 'rejected' && isMeshError(near.reason, 'HANDSHAKE_FAILED'))
})

test('what comes behind message C in the same piece is not lost', { timeout: 10_000 }, async () => {
  const [initiator, responder] = [await ourSide(), await ourSide()]
  const [near, far] = multiaddrConnectionPair()
  const send = near.send.bind(near)
  const sent: Uint8Array[] = []
  near.send = (data) => {
    sent.push(data.subarray())
    return sent.length === 1 ? send(data) : sent.length === 2 || send(Buffer.concat(sent.slice(1)))
  }
  const called = responder.encrypters.get(hybridId)?.secureInbound(far)
  const calling = await initiator.encrypters.get(hybridId)?.secureOutbound(near, { remotePeer: responder.peerId })
  calling?.connection.send(new Uint8Array([1, 2, 3]))
  const answered = (await called)?.connection ?? fail()
  const first = await new Promise<Uint8Array>((resolve) => answered.addEventListener('message', ({ data }) => resolve(data.subarray())))
  assert.deepEqual([...first], [1, 2, 3])
})

test('when both could do better than /noise, both ends say so', async () => {
  const [initiator, responder] = [await ourSide(), await ourSide()]
  const [near, far] = await meet(initiator, responder, { protocol: classicalId })
  for (const outcome of [near, far]) assert.ok(outcome.status === 'rejected' && isMeshError(outcome.reason, 'DOWNGRADE_DETECTED'))
  assert.deepEqual([initiator.failures[0]?.reason, responder.failures[0]?.reason], ['offers', 'offers'])
})

test('a level below the best of both lists is found out as well', async () => {
  const [initiator, responder] = [await ourSide({ levels: [3, 5] }), await ourSide({ levels: [1, 3, 5] })]
  const [near, far] = await meet(initiator, responder, { protocol: hybridId })
  for (const outcome of [near, far]) assert.ok(outcome.status === 'rejected' && isMeshError(outcome.reason, 'DOWNGRADE_DETECTED'))
})

for (const older of ['stock software', 'ours without our hybrid suite']) {
  test(`a peer that could once do better is refused when it comes with less: ${older}`, async () => {
    const key = await newKey()
    const [ours, before] = [await ourSide(), await ourSide({}, key)]
    const after = older === 'stock software' ? await stockSide(key) : await ourSide({ levels: [1] }, key)
    assert.ok((await meet(ours, await stockSide(), { protocol: classicalId })).every(({ status }) => status === 'fulfilled'))
    assert.ok((await meet(ours, before, { protocol: hybridId })).every(({ status }) => status === 'fulfilled'))
    for (const [near, far] of [[ours, after] as const, [after, ours] as const]) {
      const outcomes = await meet(near, far, { protocol: classicalId })
      const told = outcomes[near === ours ? 0 : 1]
      assert.ok(told?.status === 'rejected' && isMeshError(told.reason, 'DOWNGRADE_DETECTED'))
    }
    assert.deepEqual(
      ours.failures.map(({ reason }) => reason),
      ['memory', 'memory']
    )
  })
}

test('peers that have no hybrid level in common meet over /noise as often as they like', async () => {
  const [low, high] = [await ourSide({ levels: [1] }), await ourSide({ levels: [3, 5] })]
  for (const [near, far] of [[low, high] as const, [high, low] as const, [low, high] as const]) {
    const outcomes = await meet(near, far, { protocol: classicalId })
    assert.ok(outcomes.every(({ status }) => status === 'fulfilled'))
  }
})

test('a level that was remembered does not count against a peer once we do not offer it any more', async () => {
  const [memory, key, peer] = [new BoundedPeerMemory(), await newKey(), await ourSide({ levels: [3] })]
  const [before, after] = [await ourSide({ levels: [3], memory }, key), await ourSide({ levels: [5], memory }, key)]
  assert.ok((await meet(before, peer, { protocol: hybridId })).every(({ status }) => status === 'fulfilled'))
  const [near] = await meet(after, peer, { protocol: classicalId })
  assert.equal(near.status, 'fulfilled')
})

test('a peer that is met again and again is not forgotten for those that are met once', () => {
  for (const wasDialled of [true, false]) {
    const memory = new BoundedPeerMemory({ limit: 8 })
    memory.store('old friend', { level: 3, wasDialled })
    for (let index = 0; index < 100; index++) {
      memory.store(`stranger-${index}`, { level: 3, wasDialled })
      assert.equal(memory.load('old friend')?.level, 3, `after ${index + 1} strangers`)
    }
    assert.equal(memory.load('stranger-92'), undefined)
  }
})

test('what a peer could do survives a restart, and the peers that we never called are forgotten first', async () => {
  const datastore = new MemoryDatastore()
  const tracker = new Tracker((what, error) => assert.fail(`${what}: ${error.message}`))
  const memory = await openNoiseMemory(datastore, tracker)
  memory.store('dialled', { level: 3, wasDialled: true })
  for (let index = 0; index <= rememberedPeers; index++) memory.store(`caller-${index}`, { level: 5, wasDialled: false })
  await tracker.settle()
  const again = await openNoiseMemory(datastore, tracker)
  assert.deepEqual(again.load('dialled'), { level: 3, wasDialled: true })
  assert.deepEqual(again.load('caller-1'), { level: 5, wasDialled: false })
  assert.equal(again.load('caller-0'), undefined)
})
