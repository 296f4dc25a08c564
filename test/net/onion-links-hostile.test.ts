import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError, concat } from '../../src/core/base/index.ts'
import { type Cell, cellCommands, cellSizes, encodeCells, proveLink } from '../../src/core/onion/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import type { DialHost } from '../../src/mesh/onion/link-host.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { cellOf, type LinkNode, startLinkNode, startRawOpener } from './onion-link-support.ts'
import { startRelay } from './relay-support.ts'
import { hostsFrom } from '../hostile/onion-raw.ts'
import { clock, until } from './support.ts'

async function openTo(opener: DialHost, { publicKey, host }: LinkNode): Promise<FrameStream> {
  return (await opener.open(publicKey, host.libp2p.getMultiaddrs().map(String))).stream
}

const linkCell = (body: Uint8Array): Cell => ({ circuit: 0, command: cellCommands.link, body })

const lastRefusal = (node: LinkNode): string | undefined => node.host.refusals.at(-1)?.error.code

/** Sends one frame as the first of a link, and says with what error the node ended it. */
async function refusalOf(node: LinkNode, opener: DialHost, frame: Uint8Array): Promise<string | undefined> {
  const before = node.host.refusals.length
  const stream = await openTo(opener, node)
  await stream.send(frame)
  await stream.closed
  await until(() => node.host.refusals.length > before, 'the refusal is recorded')
  return lastRefusal(node)
}

test('whoever is not the relay does not become it: a proof of another link, of a stranger, of yesterday', async () => {
  await using relay = await startLinkNode()
  await using node = await startLinkNode()
  await using attacker = await startRawOpener()
  await relay.open(node, 'relay')
  await until(() => node.accepted.length === 1, 'the relay has a link')
  const now = clock.wall()
  const body = (context: { readonly linkKey?: Uint8Array; readonly acceptor?: Uint8Array; readonly now?: number }): Uint8Array =>
    encodeCells([linkCell(proveLink(relay.signer, { linkKey: attacker.publicKey, acceptor: node.publicKey, now, ...context }))])
  // Signed by the relay for its own link with this node, and sent by somebody else.
  const [linkKey] = node.host.libp2p.getPeers()
  assert.ok(linkKey?.type === 'Ed25519')
  assert.equal(await refusalOf(node, attacker, body({ linkKey: linkKey.publicKey.raw })), 'SIGNATURE_INVALID')
  // Signed for a link of the attacker with another node.
  assert.equal(await refusalOf(node, attacker, body({ acceptor: relay.publicKey })), 'SIGNATURE_INVALID')
  assert.equal(await refusalOf(node, attacker, body({ now: now - 86_400_000 })), 'CIRCUIT_VIOLATION')
  assert.equal(node.accepted.length, 1)
})

test('an identity is proved in the first cell or not at all', async () => {
  await using node = await startLinkNode()
  await using attacker = await startRawOpener()
  const stream = await openTo(attacker, node)
  const proof = linkCell(proveLink(node.signer, { linkKey: attacker.publicKey, acceptor: node.publicKey, now: clock.wall() }))
  await stream.send(encodeCells([cellOf(1, 1), proof]))
  await until(() => node.accepted[0]?.hasEnded === true, 'the link is ended')
  assert.equal(node.accepted[0]?.error?.code, 'CIRCUIT_VIOLATION')
  assert.deepEqual(node.accepted[0]?.received, [])
  assert.equal(lastRefusal(node), 'CIRCUIT_VIOLATION')
})

test('what is no frame of cells ends its link, as first frame and later, and no other link', async () => {
  await using node = await startLinkNode({ limits: { onion: { streamsPerSecond: 100 } } })
  await using honest = await startLinkNode()
  await using attacker = await startRawOpener()
  const good = await honest.open(node, 'client')
  const random = new SeededRandom(9)
  const unknown = encodeCells([cellOf(1, 1)])
  unknown[4] = 99
  const flagged = encodeCells([cellOf(1, 1)])
  flagged[6] = 1
  const frames = [
    random.bytes(cellSizes.cell),
    random.bytes(1_000),
    new Uint8Array(1),
    unknown,
    flagged,
    encodeCells([{ ...cellOf(1, 1), circuit: 0 }])
  ]
  for (const frame of frames) assert.equal(await refusalOf(node, attacker, frame), 'MESSAGE_MALFORMED')
  for (const frame of frames) {
    const stream = await openTo(attacker, node)
    await stream.send(encodeCells([cellOf(1, 1)]))
    await stream.send(frame)
    await stream.closed
    await until(() => node.accepted.at(-1)?.error?.code === 'MESSAGE_MALFORMED', 'the link is ended with the error')
    assert.equal(node.accepted.at(-1)?.received.length, 1)
  }
  good.send(cellOf(5, 5))
  await until(() => node.accepted[0]?.received.length === 1, 'the honest link works')
})

test('a frame over 63 cells, half a frame and silence are ended by the limits of the protocol', async () => {
  await using node = await startLinkNode({ limits: { onion: { frameMs: 200, firstByteMs: 200, streamsPerSecond: 100 } } })
  await using attacker = await startLinkNode({ limits: { onion: { maxFrameBytes: 1_000_000 } } })
  await using silent = await startRawOpener()
  const stream = await openTo(silent, node)
  await stream.closed
  assert.equal(lastRefusal(node), 'TIMEOUT')
  const raw = async (bytes: Uint8Array): Promise<void> => {
    const connection = await attacker.host.libp2p.dial(node.host.libp2p.getMultiaddrs(), { force: true })
    const one = await connection.newStream('/synaptic-mesh/onion/1.0.0')
    one.send(bytes)
    await new Promise((resolve) => one.addEventListener('close', resolve, { once: true }))
  }
  const cells = encodeCells(Array.from({ length: 63 }, () => cellOf(1, 1)))
  await raw(concat(new Uint8Array([0, 0, 252, 0]), cells.subarray(0, 10_000)))
  assert.equal(lastRefusal(node), 'TIMEOUT')
  await raw(concat(new Uint8Array([0, 1, 0, 0]), cells, cells.subarray(0, cellSizes.cell)))
  assert.equal(lastRefusal(node), 'PROTOCOL_LIMIT')
  assert.equal(node.accepted.length, 0)
})

test('a handler that throws ends its link with INTERNAL or its own error, and the node goes on', async () => {
  await using node = await startLinkNode()
  await using one = await startLinkNode()
  await using two = await startLinkNode()
  const bad = await one.open(node, 'client')
  await until(() => node.accepted.length === 1, 'the link is accepted')
  const [end] = node.accepted
  assert.ok(end)
  end.gate = () => {
    throw new Error('a bug')
  }
  bad.send(cellOf(1, 1))
  await until(() => bad.hasEnded && end.hasEnded, 'the link is ended')
  assert.equal(end.error?.code, 'INTERNAL')
  const good = await two.open(node, 'client')
  good.send(cellOf(1, 1))
  await until(() => node.accepted[1]?.received.length === 1, 'another link works')
})

test('a link is hybrid or there is none: classical Noise is a downgrade', async () => {
  await using classical = await startRelay()
  await using client = await startLinkNode()
  const key = classical.libp2p.peerId
  assert.ok(key.type === 'Ed25519')
  await classical.libp2p.handle('/synaptic-mesh/onion/1.0.0', (stream) => stream.abort(new Error('a link was opened')))
  const open = client.links.open({
    as: 'client',
    publicKey: key.publicKey.raw,
    addresses: [classical.address],
    make: () => assert.fail('a link was made')
  })
  await assert.rejects(
    open,
    (error: unknown) => error instanceof Error && 'code' in error && ['DOWNGRADE_DETECTED', 'PEER_UNREACHABLE'].includes(String(error.code))
  )
  const again = client.links.open({
    as: 'client',
    publicKey: key.publicKey.raw,
    addresses: [classical.address],
    make: () => assert.fail('a link was made')
  })
  await assert.rejects(again, (error: unknown) => error instanceof Error && 'code' in error && error.code === 'DOWNGRADE_DETECTED')
})

test('thirty links of one key that come and go leave nothing behind', async () => {
  await using node = await startLinkNode({ limits: { onion: { streamsPerSecond: 1_000 } } })
  await using attacker = await startRawOpener()
  for (let index = 0; index < 30; index++) {
    const stream = await openTo(attacker, node)
    await stream.send(encodeCells([cellOf(1, index)]))
    await until(() => node.accepted.length === index + 1, 'the link is accepted')
    stream.abort(new MeshError('SHUTTING_DOWN'))
    await until(() => node.accepted[index]?.hasEnded === true, 'the link has ended')
  }
  await until(() => node.host.libp2p.getConnections().length === 0, 'no connection is left')
  await until(async () => (await node.host.libp2p.peerStore.all()).length === 0, 'no peer is left')
  await until(() => node.host.host.openStreams === 0, 'no stream is left')
})

test('keys of one network that hold all links make room for another network, and not for more of their own', async () => {
  await using guard = await startLinkNode({ linkLimits: { accepted: 4 } })
  // Each proves a key that nobody knows: proofs alone are cheap.
  const crowd = await Promise.all(Array.from({ length: 5 }, () => startLinkNode({ hosts: hostsFrom('127.0.7.1') })))
  await using other = await startLinkNode({ hosts: hostsFrom('127.0.8.1') })
  for (const node of crowd.slice(0, 4)) {
    await node.open(guard, 'relay')
    await until(() => guard.links.acceptedCount === crowd.indexOf(node) + 1, 'the link is accepted')
  }
  for (const end of guard.accepted) end.circuits = end === guard.accepted[2] ? 0 : 1
  const fifth = await crowd[4]?.open(guard, 'relay')
  await until(() => fifth?.hasEnded === true, 'one more of them is refused')
  const link = await other.open(guard, 'client')
  await until(() => guard.accepted[2]?.hasEnded === true, 'the one without circuits ends')
  await until(() => guard.accepted.length === 5 && guard.links.acceptedCount === 4, 'the other network has its link')
  assert.equal(link.hasEnded, false)
  for (const node of crowd) await node[Symbol.asyncDispose]()
})
