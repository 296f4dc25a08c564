import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Stream } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { networkIds } from '../../src/mesh/network-ids.ts'
import { RawPeer } from './circuit-support.ts'
import { startRelay } from './relay-support.ts'
import { startTestHost, type TestHost, until } from './support.ts'

/** The beginning of a length that has no end. */
const endless = new Uint8Array(16).fill(0xff)
const dht = networkIds('test').dht

async function addressOf({ libp2p }: TestHost): Promise<Multiaddr> {
  const [address] = libp2p.getMultiaddrs()
  assert.ok(address !== undefined)
  return address
}

/** Resolves when the other side has reset the stream, long before it would for silence: 10 s in the DHT, 5 s at the other end of a circuit. */
const isReset = (stream: Stream, timeoutMs = 8_000): Promise<void> => until(() => stream.status === 'reset', 'the stream is reset', timeoutMs)

test('a length of the DHT that does not end ends the stream, whoever opened it', async () => {
  await using victim = await startTestHost()
  await using attacker = await RawPeer.start()
  const connection = await attacker.connect(String(await addressOf(victim)))
  const asked = await connection.newStream(dht)
  asked.send(endless)
  await isReset(asked)
  // 0x81 0x80 … is a length, but one that nobody sends.
  const long = await connection.newStream(dht)
  long.send(new Uint8Array([0x81, 0x80, 0x80, 0x01, 0, 0]))
  await isReset(long)

  await using liar = await startTestHost()
  await liar.libp2p.unhandle(dht)
  const answered: Stream[] = []
  await liar.libp2p.handle(dht, (stream) => {
    answered.push(stream)
    stream.send(endless)
  })
  await victim.libp2p.dial(await addressOf(liar))
  const signal = AbortSignal.timeout(20_000)
  const asking = victim.libp2p.peerRouting.findPeer(attacker.libp2p.peerId, { signal }).catch(() => undefined)
  await until(() => answered.length > 0, 'the victim asks', 20_000)
  await asking
  await Promise.all(answered.map((stream) => isReset(stream)))
})

test('the DHT works with messages of the usual sizes', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  await using c = await startTestHost()
  await a.libp2p.dial(await addressOf(b))
  await c.libp2p.dial(await addressOf(b))
  await until(async () => (await a.libp2p.peerRouting.findPeer(c.libp2p.peerId).catch(() => undefined)) !== undefined, 'a finds c by b')
})

test('a relay whose frames do not end is no relay', async () => {
  await using victim = await startTestHost({ listen: [] })
  await using relay = await startRelay()
  await victim.relays.reserve(
    { connection: await victim.libp2p.dial(multiaddr(relay.address)), addresses: [relay.address] },
    AbortSignal.timeout(5_000)
  )
  const [back] = relay.libp2p.getConnections(victim.libp2p.peerId)
  assert.ok(back !== undefined)
  const call = await back.newStream(RELAY_V2_STOP_CODEC)
  call.send(endless)
  await isReset(call, 4_000)

  await relay.libp2p.unhandle(RELAY_V2_HOP_CODEC)
  let hop: Stream | undefined
  await relay.libp2p.handle(RELAY_V2_HOP_CODEC, (stream) => {
    hop = stream
    stream.send(endless)
  })
  await using peer = await startTestHost({ listen: [] })
  await assert.rejects(victim.libp2p.dial(multiaddr(`${relay.listen}/p2p/${peer.peerId}`), { signal: AbortSignal.timeout(10_000) }), (error) => {
    assert.doesNotMatch(String(error), /timeout|aborted due/i)
    return true
  })
  assert.ok(hop !== undefined)
  await isReset(hop)
})
