import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { announced } from '../../src/node/announced.ts'
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

test('loopback addresses are told to others only while there are no others', () => {
  const told = (...addresses: string[]): readonly string[] => announced(addresses.map((address) => multiaddr(address))).map(String)
  const circuit = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEprTNELUK3W7DWp4VkptGRjmvh9U8MfnJVkmCX5oQvKN/p2p-circuit'
  assert.deepEqual(told('/ip4/127.0.0.1/tcp/1', '/ip4/192.168.1.2/tcp/1', '/ip6/::1/tcp/1', circuit), ['/ip4/192.168.1.2/tcp/1', circuit])
  assert.deepEqual(told('/ip4/127.0.0.1/tcp/1', circuit), ['/ip4/127.0.0.1/tcp/1', circuit])
})
