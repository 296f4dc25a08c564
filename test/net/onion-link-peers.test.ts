import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import type { LogRecord } from '../../src/mesh/mesh.ts'
import { keyOf } from '../../src/mesh/peer-book.ts'
import { createMesh } from '../../src/node/create-mesh.ts'
import { LinkEnd, startLinkNode } from './onion-link-support.ts'
import { startTestHost, until } from './support.ts'

test('who holds a link is no peer of the mesh: no event, no place in the lists and the counts; who has something else to say is one', async () => {
  const logs: LogRecord[] = []
  await using node = await createMesh(
    { network: 'test', onionRouting: true, listenAddrs: ['/ip4/127.0.0.1/tcp/0'], mdns: false, natTraversal: false, portMapping: false },
    { onLog: (record) => logs.push(record) }
  )
  const events: string[] = []
  node.on('peer', ({ type, peer }) => events.push(`${type} ${peer.peerId}`))
  await using client = await startLinkNode()
  await using peer = await startTestHost()
  const ends: LinkEnd[] = []
  const link = await client.links.open({
    as: 'client',
    publicKey: keyOf(node.peerId),
    addresses: node.addresses(),
    make: (made) => {
      const end = new LinkEnd(made)
      ends.push(end)
      return end
    }
  })
  await peer.libp2p.dial(multiaddr(node.addresses()[0]))
  await until(() => events.length > 0, 'the peer is announced')
  const { peers, connections } = await node.detailedStatus()
  assert.deepEqual([peers.connected, connections.map(({ peerId }) => peerId)], [1, [peer.peerId]])
  assert.deepEqual(
    (await node.peers()).map(({ peerId }) => peerId),
    [peer.peerId]
  )
  link.close()
  await until(() => ends[0]?.hasEnded === true, 'the link has ended')
  await peer.libp2p.stop()
  await until(() => events.length > 1, 'the peer has gone')
  assert.deepEqual(events, [`connected ${peer.peerId}`, `disconnected ${peer.peerId}`])
  assert.ok(logs.every(({ event, fields }) => !event.startsWith('peer.') || fields['peer'] === `…${peer.peerId.slice(-8)}`))
})
