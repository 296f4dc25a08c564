import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { friendsOf } from '../../src/mesh/friends.ts'
import { startReaching } from './reach-support.ts'
import { startRelay } from './relay-support.ts'

test('with onion_routing a paired peer is told where we are, and asked to dial, only when it is connected directly anyway', async (t) => {
  const relay = await startRelay()
  t.after(() => relay.stop())
  await using a = await startReaching()
  await using b = await startReaching({ node: { listen: ['/ip4/127.0.0.1/tcp/0', relay.listen] } })
  const isPaired = (peerId: string): boolean => a.book.pairOf(peerId) !== undefined
  const [usual, hiding] = [false, true].map((onionRouting) => friendsOf({ libp2p: a.libp2p, isPaired, onionRouting }))
  const asFriend = (): readonly unknown[] => [usual?.(b.peerId), hiding?.(b.peerId)]
  await a.libp2p.dial(multiaddr(`${relay.listen}/p2p/${b.peerId}`))
  assert.deepEqual(asFriend(), [false, false], 'a stranger')
  a.pair(b)
  assert.deepEqual(asFriend(), [true, false], 'paired, over a relay')
  await a.libp2p.dial(multiaddr(`${b.address()}/p2p/${b.peerId}`), { force: true })
  assert.deepEqual(asFriend(), [true, true], 'paired, and directly connected')
})
