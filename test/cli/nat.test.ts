import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { type Relay, startRelay } from '../net/relay-support.ts'
import { bin, json, startNode } from './real-nodes.ts'
import { Home } from './support.ts'

const parse = (value: unknown) => catalogue.nat.output(z).parse(value)
const natOf = async (home: Home) => catalogue.status.output(z).parse(await json(home, 'status')).nat

async function pair(me: Home, other: Home, alias: string): Promise<void> {
  const { invite }: { readonly invite: string } = await json(other, 'invite')
  await json(me, 'join', invite, '--as', alias)
}

/** A daemon that listens at the relay and nowhere else; without NAT traversal nothing but the relay is used. */
async function startAt(t: TestContext, relay: Relay, args: readonly string[]): Promise<Home> {
  const home = new Home(t, bin)
  await json(home, 'init', '--listen', relay.listen, '--no-mdns', '--network', 'test-relay', '--no-start', ...args)
  await json(home, 'config', 'set', 'nat_traversal', 'false')
  await json(home, 'start')
  return home
}

test('p2p nat of a peer in the same network: direct, and it stands in the rates of status, in the metrics and after a restart', async (t) => {
  const [me, other] = await Promise.all([startNode(t, 'me'), startNode(t, 'other')])
  await pair(me.home, other.home, 'peer-123')
  const report = parse(await json(me.home, 'nat', 'peer-123', '--method', 'auto'))
  assert.deepEqual([report.peer, report.method], [{ peerId: other.peerId, name: 'peer-123' }, 'auto'])
  assert.deepEqual([report.result, report.path, report.now, report.error], ['direct', 'direct-lan', 'direct-lan', undefined])
  assert.deepEqual([report.own, report.their], [{ class: 'unknown' }, { class: 'unknown' }], 'nobody to ask about NATs on 127.0.0.1')
  const { stdout } = await me.home.p2p('nat', 'peer-123')
  assert.match(
    stdout,
    /^you: NAT not known · peer: NAT not known\n✓ direct, in the local network in .* ms {6}reachable 100 % · direct 100 % of the last \d/
  )
  const before = await natOf(me.home)
  assert.equal(before.count, 1, 'a peer that stays connected is counted once')
  assert.deepEqual([before.reachableRate, before.directRate, before.last100.directRate], [1, 1, 1])
  await json(me.home, 'restart')
  const after = await natOf(me.home)
  assert.ok(after.count >= before.count && after.directRate === 1, 'the rates are kept')
})

test('a forced method that cannot work is exit 7 with the reason, and says what works all the same', async (t) => {
  const [me, other] = await Promise.all([startNode(t, 'me'), startNode(t, 'other')])
  await pair(me.home, other.home, 'peer-456')
  const { code, stdout, stderr } = await me.home.p2p('nat', 'peer-456', '--method', 'turn', '--json')
  const report = parse(JSON.parse(stdout))
  assert.deepEqual([code, report.result, report.path, report.now], [7, 'failed', undefined, 'direct-lan'])
  assert.deepEqual(report.attempts, [{ method: 'ice-turn', ok: false, ms: 0, reason: 'no TURN server is configured' }])
  const { error } = JSON.parse(stderr)
  assert.equal(error.code, 'NAT_METHOD_FAILED')
  assert.match(error.message, /no TURN server is configured/)
  assert.match(error.hint, /direct-lan.* turn_servers/)
  const people = await me.home.p2p('nat', 'peer-456', '--method', 'turn')
  assert.match(people.stdout, /✗ no connection by turn \(no TURN server is configured\); direct, in the local network now/)
  assert.equal(people.code, 7)
})

test('over a relay alone p2p nat says relayed, by which relay and why; without the relay it is exit 7', async (t) => {
  const relay = await startRelay({ hybrid: true })
  t.after(() => relay.stop())
  const [me, other] = await Promise.all([startAt(t, relay, ['--name', 'me']), startAt(t, relay, ['--name', 'other'])])
  await pair(me, other, 'peer-789')
  const report = parse(await json(me, 'nat', 'peer-789'))
  assert.deepEqual([report.result, report.path, report.reason], ['relayed', 'relayed', 'NAT traversal is off (nat_traversal)'])
  assert.ok(relay.listen.includes(report.relay?.peerId ?? 'none'), 'the relay is named')
  assert.match((await me.p2p('nat', 'peer-789')).stdout, /✓ relayed via .* \(NAT traversal is off/)
  const forced = await me.p2p('nat', 'peer-789', '--method', 'stun', '--json')
  assert.deepEqual([forced.code, JSON.parse(forced.stderr).error.code], [7, 'NAT_METHOD_FAILED'])
  assert.match(JSON.parse(forced.stderr).error.hint, /relayed/)
  await relay.stop()
  const gone = await me.p2p('nat', 'peer-789', '--json')
  assert.deepEqual([gone.code, JSON.parse(gone.stderr).error.code, parse(JSON.parse(gone.stdout)).result], [7, 'PEER_UNREACHABLE', 'failed'])
})

test('a peer that is not known is exit 5, a method that does not exist exit 2', async (t) => {
  const me = await startNode(t, 'me')
  assert.equal((await me.home.p2p('nat', 'nobody', '--json')).code, 5)
  const { code, stderr } = await me.home.p2p('nat', 'nobody', '--method', 'magic')
  assert.equal(code, 2)
  assert.match(stderr, /auto, stun or turn|auto, stun, turn/)
})
