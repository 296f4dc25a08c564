import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { startTestHost } from './support.ts'

test('a peer is not dialled where the node itself listens, as after a change of ports on one machine', async () => {
  await using me = await startTestHost()
  await using peer = await startTestHost()
  const mine = me.libp2p
    .getMultiaddrs()
    .map((address) => multiaddr(address.toString().replace(/\/p2p\/.*$/, `/p2p/${peer.libp2p.peerId.toString()}`)))
  await assert.rejects(me.libp2p.dial(mine), { name: 'DialDeniedError' })
  const [theirs = assert.fail()] = peer.libp2p.getMultiaddrs()
  await me.libp2p.dial([...mine, theirs])
  assert.deepEqual(me.libp2p.getPeers(), [peerIdFromString(peer.libp2p.peerId.toString())])
  assert.equal(me.handshakeFailures.size, 0, 'nothing was tried in vain')
})
