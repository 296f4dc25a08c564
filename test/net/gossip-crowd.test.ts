import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gossipTopic } from '../../src/mesh/network-ids.ts'
import { gossipPort } from '../../src/node/host-ports.ts'
import { gossipRpc, splitRpcs } from '../../src/node/libp2p-workarounds.ts'
import { startTestHost, type TestHost, until } from './support.ts'

/** Well above the ten of one address beyond which gossipsub scores each of them down, by the square of what is too many. */
const crowd = 18

test(`gossip: ${crowd} nodes of one address hear each other`, async () => {
  await using stack = new AsyncDisposableStack()
  const hosts: TestHost[] = []
  for (let count = 0; count < crowd; count++) hosts.push(stack.use(await startTestHost()))
  const [hub, ...others] = hosts
  assert.ok(hub !== undefined)
  const topic = gossipTopic('test', 'group')
  const heard = new Set<string>()
  for (const { libp2p, peerId } of hosts)
    gossipPort(libp2p).subscribe(topic, () => {
      heard.add(peerId)
      return 'accept'
    })
  for (const { libp2p } of others) await libp2p.dial(hub.libp2p.getMultiaddrs())
  const { gossip } = hub.libp2p.services
  await until(() => gossip.getSubscribers(topic).length === crowd - 1, 'all are known to want the topic', 20_000)
  // By default the scores of all fall with the first heartbeats.
  for (let beats = 0; beats < 3; beats++) await new Promise((resolve) => gossip.addEventListener('gossipsub:heartbeat', resolve, { once: true }))
  assert.equal(await gossipPort(hub.libp2p).publish(topic, new Uint8Array(60_000)), crowd - 1)
  await until(() => heard.size === crowd - 1, 'all have heard it', 20_000)
})

interface Rpc {
  readonly subscriptions?: readonly string[]
  readonly messages: readonly { readonly data?: Uint8Array }[]
  readonly control?: { readonly graft: readonly string[] } | undefined
}

test('gossip: what is too large for one piece is sent in several, with its control messages once', () => {
  const sent: Rpc[] = []
  const service = splitRpcs({
    sendRpc(_: string, rpc: Rpc): boolean {
      sent.push(rpc)
      return true
    }
  })
  const data = new Uint8Array(gossipRpc.outboundBytes / 2 - 1_000)
  const rpc: Rpc = { messages: Array.from({ length: 5 }, () => ({ data })), control: { graft: ['topic'] } }
  assert.ok(service.sendRpc('peer', rpc))
  assert.deepEqual(
    sent.map(({ messages }) => messages.length),
    [2, 2, 1]
  )
  assert.deepEqual(
    sent.map(({ control }) => control?.graft.length ?? 0),
    [0, 0, 1]
  )
  sent.length = 0
  const small: Rpc = { messages: [{ data }] }
  service.sendRpc('peer', small)
  service.sendRpc('peer', { messages: [] })
  assert.equal(sent[0], small, 'the very object, to which gossipsub adds control messages')
  assert.equal(sent.length, 2)
})
