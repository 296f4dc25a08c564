import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { type Relay, startRelay } from '../net/relay-support.ts'
import { until } from '../net/support.ts'
import { bin, json } from './real-nodes.ts'
import { Home } from './support.ts'

/** A daemon that listens at the relay and nowhere else. */
async function startAt(t: TestContext, relay: Relay, args: readonly string[]): Promise<Home> {
  const home = new Home(t, bin)
  const { addresses } = await json<{ readonly addresses: readonly string[] }>(
    home,
    'init',
    '--listen',
    relay.listen,
    '--no-mdns',
    '--no-nat',
    '--network',
    'test-relay',
    ...args
  )
  assert.equal(addresses.length, 1)
  assert.ok(addresses[0]?.startsWith(`${relay.listen}/p2p/`), addresses[0])
  return home
}

async function newRelay(t: TestContext): Promise<Relay> {
  const relay = await startRelay({ hybrid: true })
  t.after(() => relay.stop())
  return relay
}

const detailed = async (home: Home) => catalogue.status.output(z).parse(await json(home, 'status', '--detailed'))

test('two daemons that know no way but a relay: paired, p2p quantum at each level, and a message stored', async (t) => {
  const relay = await newRelay(t)
  const [me, other] = await Promise.all([startAt(t, relay, ['--name', 'me']), startAt(t, relay, ['--name', 'other'])])
  const { invite }: { readonly invite: string } = await json(other, 'invite')
  await json(me, 'join', invite, '--as', 'peer-789')
  for (const [level, kem] of [
    ['1', 'ML-KEM-512'],
    ['3', 'ML-KEM-768'],
    ['5', 'ML-KEM-1024']
  ] as const) {
    const report = catalogue.quantum.output(z).parse(await json(me, 'quantum', 'peer-789', '--level', level))
    assert.deepEqual([report.name, report.level, report.kem, report.path], ['peer-789', Number(level), kem, 'relayed'])
    const shows = async (): Promise<boolean> =>
      (await detailed(other)).sessions?.some(({ words, path }) => words?.join() === report.words.join() && path === 'relayed') === true
    await until(shows, 'the peer shows the same words')
  }
  assert.match((await me.p2p('quantum', 'peer-789')).stdout, /\(relayed\)/)
  const sent = await json(me, 'message', 'peer-789', 'over the relay')
  assert.deepEqual([sent['status'], sent['path']], ['stored', 'relayed'])
  const { reachability, connections, peerList } = await detailed(other)
  assert.equal(reachability, 'relay')
  assert.deepEqual(
    peerList?.filter(({ paired }) => paired).map(({ path }) => path),
    ['relayed']
  )
  const relayed = connections?.filter(({ address }) => address.includes('/p2p-circuit')) ?? []
  assert.deepEqual([...new Set(relayed.map(({ encryption }) => encryption))], ['/noise-mlkem768-hfs/0.2.0'])
})

test('over a relay a level is refused with exit 8, and a relay that went away is exit 7', async (t) => {
  const relay = await newRelay(t)
  const me = await startAt(t, relay, ['--name', 'me'])
  const strict = await startAt(t, relay, ['--name', 'strict', '--quantum'])
  await json(strict, 'config', 'set', 'mlkem_security_level', '5')
  await json(strict, 'restart')
  const { invite }: { readonly invite: string } = await json(strict, 'invite')
  await json(me, 'join', invite, '--as', 'peer-999')
  for (const level of ['1', '3']) {
    const { code, stderr } = await me.p2p('quantum', 'peer-999', '--level', level, '--json')
    assert.deepEqual([code, JSON.parse(stderr).error.code], [8, 'LEVEL_REFUSED'])
  }
  const report = await json(me, 'quantum', 'peer-999', '--level', '5')
  assert.deepEqual([report['kem'], report['path']], ['ML-KEM-1024', 'relayed'])
  await relay.stop()
  const { code, stderr } = await me.p2p('quantum', 'peer-999', '--level', '5', '--json')
  assert.deepEqual([code, JSON.parse(stderr).error.code], [7, 'PEER_UNREACHABLE'])
  const waiting = await me.p2p('message', 'peer-999', 'while it is away', '--timeout', '1', '--json')
  assert.deepEqual([waiting.code, JSON.parse(waiting.stdout).status], [7, 'accepted'])
})
