import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import { MeshError, equalBytes, isMeshError } from '../../src/core/base/index.ts'
import { cellCommands, cellSizes } from '../../src/core/onion/index.ts'
import { addressPrefix } from '../../src/mesh/onion/address-prefix.ts'
import { LinkEnd, cellOf, firstAccepted, startLinkNode, valueOf } from './onion-link-support.ts'
import { startRelay } from './relay-support.ts'
import { until } from './support.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

test('a client opens a link from a key of its own, and cells go both ways in order', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode()
  const here = await client.open(guard, 'client')
  const there = await firstAccepted(guard)
  assert.deepEqual(there.link.peer, { kind: 'client', prefix: '127.0.0.0/24' })
  assert.equal(there.link.opener, 'peer')
  assert.equal(here.link.opener, 'us')
  assert.ok(here.link.peer.kind === 'relay' && equalBytes(here.link.peer.publicKey, guard.publicKey))
  const count = 5_000
  for (let index = 0; index < count; index++) here.send(cellOf(7, index))
  for (let index = 0; index < 300; index++) there.send(cellOf(9, index))
  await until(() => there.received.length === count && here.received.length === 300, 'all cells arrive')
  assert.deepEqual(
    there.received.map(valueOf),
    Array.from({ length: count }, (_, index) => index)
  )
  assert.deepEqual(
    here.received.map(valueOf),
    Array.from({ length: 300 }, (_, index) => index)
  )
  assert.ok(there.received.every(({ circuit, body }, index) => circuit === 7 && body.length === cellSizes.body && body[9] === index % 251))
})

test('what waits is sent in frames of many cells, at most 63', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode()
  const here = await client.open(guard, 'client')
  const there = await firstAccepted(guard)
  here.send(...Array.from({ length: 200 }, (_, index) => cellOf(1, index)))
  await until(() => there.received.length === 200, 'all cells arrive')
  assert.deepEqual(here.taken, [63, 63, 63, 11])
})

test('a guard sees nothing of the node that calls: another peer id, no identify, and nothing left behind', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode()
  const here = await client.open(guard, 'client')
  await firstAccepted(guard)
  const [peer, ...others] = guard.host.libp2p.getPeers()
  assert.ok(peer !== undefined && others.length === 0)
  assert.notEqual(peer.toString(), client.host.peerId)
  assert.ok(guard.links.isLinkPeer(peer.toString()) && !guard.links.isLinkPeer(client.host.peerId))
  const known = await guard.host.libp2p.peerStore.get(peer)
  assert.deepEqual([known.protocols, known.addresses, [...known.metadata.keys()]], [['/synaptic-mesh/onion/1.0.0'], [], []])
  assert.equal(client.host.libp2p.getConnections().length, 0)
  here.link.close()
  await until(() => guard.host.libp2p.getConnections().length === 0, 'the connection is closed')
  await until(async () => !(await guard.host.libp2p.peerStore.has(peer)), 'the key is forgotten')
})

test('a relay proves its identity, from one key for all its links, and one link is used again', async () => {
  await using relay = await startLinkNode()
  await using next = await startLinkNode()
  await using other = await startLinkNode()
  const [first, second] = await Promise.all([relay.open(next, 'relay'), relay.open(next, 'relay')])
  assert.equal(first.link, second.link)
  assert.equal((await relay.open(next, 'relay')).link, first.link)
  await relay.open(other, 'relay')
  for (const node of [next, other]) {
    const { peer } = (await firstAccepted(node)).link
    assert.ok(peer.kind === 'relay' && equalBytes(peer.publicKey, relay.publicKey))
    assert.equal(node.accepted.length, 1)
  }
  assert.deepEqual(next.host.libp2p.getPeers(), other.host.libp2p.getPeers())
})

test('a client has a key for each guard, and a link as a relay is another link', async () => {
  await using node = await startLinkNode()
  await using one = await startLinkNode()
  await using two = await startLinkNode()
  await Promise.all([node.open(one, 'client'), node.open(two, 'client'), node.open(one, 'relay')])
  await firstAccepted(one, 1)
  await firstAccepted(two)
  const peers = [...one.host.libp2p.getPeers(), ...two.host.libp2p.getPeers()].map(String)
  assert.equal(new Set(peers).size, 3)
  assert.deepEqual(one.accepted.map(({ link }) => link.peer.kind).toSorted(), ['client', 'relay'])
})

test('two relays may have a link in each direction of opening', async () => {
  await using a = await startLinkNode()
  await using b = await startLinkNode()
  const [fromA, fromB] = await Promise.all([a.open(b, 'relay'), b.open(a, 'relay')])
  const [atB, atA] = [await firstAccepted(b), await firstAccepted(a)]
  fromA.send(cellOf(1, 1))
  fromB.send(cellOf(1, 2))
  await until(() => atA.received.length + atB.received.length === 2, 'both cells arrive')
  assert.deepEqual([atB.received.map(valueOf), atA.received.map(valueOf)], [[1], [2]])
})

test('a handler that is not done with its cells stops the sender, and nothing is lost', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode()
  const here = await client.open(guard, 'client')
  const there = await firstAccepted(guard)
  const gate = Promise.withResolvers<void>()
  there.gate = () => gate.promise
  const count = 20_000
  here.send(...Array.from({ length: count }, (_, index) => cellOf(1, index)))
  await until(() => there.received.length > 0, 'the first frame arrives')
  let left = -1
  await until(() => {
    const before = left
    left = here.queue.length
    return left === before
  }, 'the sender stands still')
  assert.ok(left > count / 2, `${left} cells were not taken`)
  assert.ok(there.received.length <= 63)
  there.gate = () => undefined
  gate.resolve()
  await until(() => there.received.length === count, 'all cells arrive')
  assert.ok(there.received.every((cell, index) => valueOf(cell) === index))
})

test('a link that ends while its handler is busy ends there, too', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode()
  const here = await client.open(guard, 'client')
  const there = await firstAccepted(guard)
  there.gate = () => new Promise(() => undefined)
  here.send(cellOf(1, 1))
  await until(() => there.received.length === 1, 'the handler is busy')
  here.link.close(new MeshError('SHUTTING_DOWN'))
  await until(() => there.hasEnded && here.hasEnded, 'both ends have ended')
  assert.deepEqual([here.error?.code, there.error?.code], ['SHUTTING_DOWN', 'PEER_UNREACHABLE'])
})

test('padding is counted and not handed on, and what else is said of the link is', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode()
  const here = await client.open(guard, 'client')
  const there = await firstAccepted(guard)
  const body = new Uint8Array(cellSizes.body)
  here.send({ circuit: 0, command: cellCommands.padding, body }, { circuit: 0, command: cellCommands.link, body: body.slice().fill(2, 0, 1) })
  await until(() => there.received.length > 0, 'a cell arrives')
  assert.deepEqual(
    there.received.map(({ command }) => command),
    [cellCommands.link]
  )
  const { ignored } = there
  here.send(...Array.from({ length: 100 }, () => ({ circuit: 0, command: cellCommands.padding, body })))
  await until(() => there.ignored === ignored + 100, 'all of them are counted')
})

test('the end of either side is the end of the other, in order', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode()
  const first = await client.open(guard, 'client')
  const atGuard = await firstAccepted(guard)
  atGuard.link.close()
  await until(() => first.hasEnded && atGuard.hasEnded, 'both ends have ended')
  assert.deepEqual([first.error, atGuard.error], [undefined, undefined])
  const second = await client.open(guard, 'client')
  assert.notEqual(second.link.id, first.link.id)
  second.send(cellOf(1, 5))
  const there = await firstAccepted(guard, 1)
  await until(() => there.received.length === 1, 'the new link works')
})

test('nobody at the address, another key there, or no address: each says so', async () => {
  await using node = await startLinkNode()
  await using other = await startLinkNode()
  const make = (): never => assert.fail('a link was made')
  const address =
    other.host.libp2p
      .getMultiaddrs()
      .map(String)[0]
      ?.replace(/\/p2p\/.*/, '') ?? ''
  const open = (addresses: readonly string[]): Promise<unknown> => node.links.open({ as: 'client', publicKey: node.publicKey, addresses, make })
  await assert.rejects(open(['/ip4/127.0.0.1/tcp/1']), failure('PEER_UNREACHABLE'))
  await assert.rejects(open([address]), failure('IDENTITY_MISMATCH'))
  for (const none of [[], ['not an address'], [`${address}/p2p/${other.host.peerId}`]]) await assert.rejects(open(none), failure('PEER_UNREACHABLE'))
  await assert.rejects(
    node.links.open({ as: 'client', publicKey: other.publicKey, addresses: [address], make, signal: AbortSignal.abort() }),
    failure('ABORTED')
  )
})

test('the first cell is there with the third flight of bytes: nothing is asked whose answer is known', async () => {
  await using client = await startLinkNode()
  await using guard = await startLinkNode({ bare: true })
  const port = Number(
    guard.host.libp2p
      .getMultiaddrs()[0]
      ?.getComponents()
      .find(({ name }) => name === 'tcp')?.value
  )
  let flights = ''
  const accepted = Promise.withResolvers<string>()
  await guard.links.serve((link) => {
    accepted.resolve(flights)
    return new LinkEnd(link)
  })
  const note = (side: string): void => {
    if (!flights.endsWith(side)) flights += side
  }
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    near.on('data', (data) => {
      note('c')
      far.write(data)
    })
    far.on('data', (data) => {
      note('s')
      near.write(data)
    })
    for (const [one, other] of [[near, far] as const, [far, near] as const]) one.on('error', () => other.destroy()).on('close', () => other.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  proxy.unref()
  const address = proxy.address()
  assert.ok(address !== null && typeof address === 'object')
  const link = await client.links.open({
    as: 'client',
    publicKey: guard.publicKey,
    addresses: [`/ip4/127.0.0.1/tcp/${address.port}`],
    make: (made) => new LinkEnd(made)
  })
  // The acceptor may have begun to say something of its own.
  assert.match(await accepted.promise, /^cscs?$/)
  link.close(new MeshError('SHUTTING_DOWN'))
  proxy.close()
})

test('an endpoint behind a circuit relay of other software is reached', async () => {
  await using relay = await startRelay({ bytes: 10_000_000 })
  await using behind = await startLinkNode({ listen: [relay.listen] })
  await using client = await startLinkNode()
  const here = await client.open(behind, 'client')
  const there = await firstAccepted(behind)
  here.send(...Array.from({ length: 100 }, (_, index) => cellOf(3, index)))
  await until(() => there.received.length === 100, 'the cells arrive over the relay')
  assert.ok(there.link.peer.kind === 'client' && there.link.peer.prefix === '127.0.0.0/24')
})

test('stopping ends every link and every key, and nothing is opened afterwards', async () => {
  await using node = await startLinkNode()
  await using other = await startLinkNode()
  const ends = await Promise.all([node.open(other, 'client'), node.open(other, 'relay')])
  await firstAccepted(other, 1)
  await node.links.stop()
  await until(() => [...ends, ...other.accepted].every(({ hasEnded }) => hasEnded), 'all have ended')
  await until(() => other.host.libp2p.getConnections().length === 0, 'no connection is left')
  await assert.rejects(node.open(other, 'client'), failure('SHUTTING_DOWN'))
})

test('clients are limited by their network, all links by their number, and no peer of the mesh is a link', async () => {
  let paired = ''
  await using guard = await startLinkNode({ linkLimits: { accepted: 3, clientsOfPrefix: 2 }, isPaired: (peerId) => peerId === paired })
  const nodes = await Promise.all([1, 2, 3, 4].map(() => startLinkNode()))
  await using stack = new AsyncDisposableStack()
  for (const node of nodes) stack.use(node)
  const [a, b, c, d] = nodes
  assert.ok(a && b && c && d)
  await Promise.all([a.open(guard, 'client'), b.open(guard, 'client')])
  await firstAccepted(guard, 1)
  const refused = await c.open(guard, 'client')
  await until(() => refused.hasEnded, 'a third client of the network is refused')
  await c.open(guard, 'relay')
  await firstAccepted(guard, 2)
  const over = await d.open(guard, 'relay')
  await until(() => over.hasEnded, 'a fourth link is refused')
  assert.equal(guard.accepted.length, 3)
  assert.deepEqual(
    guard.host.refusals.map(({ error }) => error.code),
    ['PROTOCOL_LIMIT', 'PROTOCOL_LIMIT']
  )
  const stream = await (async () => {
    await d.host.libp2p.peerStore.merge(peerIdFromString(guard.host.peerId), { multiaddrs: guard.host.libp2p.getMultiaddrs() })
    paired = d.host.peerId
    return d.host.host.open(guard.host.peerId, 'onion')
  })()
  await stream.send(new Uint8Array(cellSizes.cell))
  await stream.closed
  assert.ok(!guard.links.isLinkPeer(d.host.peerId))
  assert.equal(guard.host.refusals.at(-1)?.error.code, 'CIRCUIT_VIOLATION')
})

test('a node with more connections than it wants ends none that holds a link', async () => {
  await using guard = await startLinkNode({ maxPeers: 2 })
  await using one = await startLinkNode()
  await using two = await startLinkNode()
  await using peer = await startLinkNode()
  const ends = await Promise.all([one.open(guard, 'client'), two.open(guard, 'relay')])
  await firstAccepted(guard, 1)
  const pruned = Promise.withResolvers<void>()
  guard.host.libp2p.addEventListener('connection:prune', () => pruned.resolve(), { once: true })
  await guard.host.libp2p.dial(peer.host.libp2p.getMultiaddrs())
  await pruned.promise
  for (const end of ends) end.send(cellOf(1, 1))
  await until(() => guard.accepted.every(({ received }) => received.length === 1), 'both links work')
})

test('addresses are limited by /24 and /48, however they are written', () => {
  assert.deepEqual(['203.0.113.77', '::ffff:203.0.113.77', '2001:db8:1:2::3', '2001:db8::1', 'relay.example'].map(addressPrefix), [
    '203.0.113.0/24',
    '203.0.113.0/24',
    '2001:db8:1::/48',
    '2001:db8:0::/48',
    'relay.example'
  ])
})
