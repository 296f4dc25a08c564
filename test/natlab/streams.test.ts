import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Couple, flowing, settle } from './couple.ts'
import type { Host } from './host.ts'
import { isSkipped } from './lab.ts'
import { LabNet, poll } from './net.ts'
import { isDirect } from './pairs.ts'

const perSecond = 100

const pathOf = async (host: Host): Promise<string | undefined> => (await host.call('peer', 'other')).path

/** Two nodes, paired, with a stream of durable messages from the first to the second since they know each other. */
async function couple(net: LabNet, one: string, other: string): Promise<Couple> {
  const [{ host: a }, { host: b }] = await Promise.all([net.start(one), net.start(other)])
  await a.call('join', await b.call('invite'), 'other')
  await b.call('collect')
  await a.call('pump', 'other', perSecond)
  return { a, b }
}

const moves = ({ events }: Host): number => events.filter((each) => each.event === 'log' && each.record.event === 'peer.moved').length

interface Relayed {
  readonly net: LabNet
  readonly nodes: Couple
}

/** A couple whose stream begins over the relay: a direct connection that is there before the first message proves nothing about moving, and is taken down. */
async function relayedFirst(stack: AsyncDisposableStack, attempts = 4): Promise<Relayed> {
  const net = await LabNet.up({ sites: ['port1:15:port', 'port2:16:port'] })
  const nodes = await couple(net, 'port1', 'port2')
  const isRelayed = (await pathOf(nodes.a)) === 'relayed'
  if (isRelayed || attempts === 1) {
    stack.use(net)
    assert.ok(isRelayed, 'it begins over the relay')
    return { net, nodes }
  }
  await net.down()
  return relayedFirst(stack, attempts - 1)
}

test('100 messages a second move from a relayed to a direct connection: none is lost, none handed out twice', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using stack = new AsyncDisposableStack()
  const { net, nodes } = await relayedFirst(stack)
  await poll('a direct connection', 20_000, async () => (await pathOf(nodes.a)) === 'punched')
  await flowing(nodes.b, 3 * perSecond)
  await settle(t, nodes)
  assert.ok(moves(nodes.a) > 0)
  await t.test('and the direct connection outlives the relay', async () => {
    await nodes.a.call('pump', 'other', perSecond)
    await net.killRelay('relay')
    await flowing(nodes.b, 3 * perSecond)
    assert.equal(await pathOf(nodes.a), 'punched')
    await settle(t, nodes)
  })
})

test('when its relay dies, a relayed stream goes on over another one', { timeout: 180_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: ['sym1:17:sym', 'sym2:18:sym'], relays: ['relay', 'relay2'] })
  const nodes = await couple(net, 'sym1', 'sym2')
  await flowing(nodes.b, perSecond)
  const used = async (): Promise<string> => {
    const { connections } = await nodes.a.call('status')
    const circuit = connections.find(({ address }) => address.includes('/p2p-circuit'))
    return circuit?.address.includes(net.relay('relay').addresses[0]?.split('/').at(-1) ?? '-') === true ? 'relay' : 'relay2'
  }
  const first = await used()
  await net.killRelay(first === 'relay' ? 'relay' : 'relay2')
  await flowing(nodes.b, 3 * perSecond)
  assert.equal(await pathOf(nodes.a), 'relayed')
  await settle(t, nodes)
})

test('when a node gets another address, its streams go on in both directions', { timeout: 240_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: ['port1:15:port', 'port2:16:port'] })
  const nodes = await couple(net, 'port1', 'port2')
  await poll('a direct connection', 20_000, async () => isDirect(await pathOf(nodes.a)))
  for (const [host, lan] of [
    ['port1', '192.168.15'],
    ['port2', '192.168.16']
  ] as const) {
    const changedAt = performance.now()
    await net.lab.readdress(host, { from: `${lan}.2`, to: `${lan}.7` })
    await flowing(nodes.b, 3 * perSecond)
    t.diagnostic(`${host} changed: it flows again after ${Math.round(performance.now() - changedAt)} ms`)
    await poll('a direct connection again', 60_000, async () => isDirect(await pathOf(nodes.a)))
    t.diagnostic(`${host} changed: ${await pathOf(nodes.a)} after ${Math.round(performance.now() - changedAt)} ms`)
  }
  await flowing(nodes.b, perSecond)
  await settle(t, nodes)
})
