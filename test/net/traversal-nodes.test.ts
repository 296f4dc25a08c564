import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { hopelessReasons } from '../../src/core/nat/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { createMesh, type MeshConfig } from '../../src/node/create-mesh.ts'
import { startRelay } from './relay-support.ts'
import { silentAddresses } from './silent.ts'
import { until } from './support.ts'

const common = { network: 'test-traversal', mdns: false } as const

/** A node that listens nowhere, and one that listens at a relay only: ICE is the only direct way between them. */
async function startPair(t: TestContext, theirs: MeshConfig = {}): Promise<{ readonly a: Mesh; readonly b: Mesh; readonly address: string }> {
  const relay = await startRelay({ bytes: 100_000_000 })
  t.after(() => relay.stop())
  const a = await createMesh({ ...common, name: 'a', listenAddrs: [] })
  t.after(() => a.stop())
  const b = await createMesh({ ...common, name: 'b', listenAddrs: [relay.listen], ...theirs })
  t.after(() => b.stop())
  return { a, b, address: b.addresses()[0] ?? '' }
}

test('nat over a relay: what is tried in the background gives way, ICE connects, and all of it is in the report, the metrics and the rates', async (t) => {
  const { a, b, address } = await startPair(t)
  const report = await a.nat(address, { method: 'stun' })
  assert.deepEqual(
    [report.peer.peerId, report.result, report.path, report.now, report.error],
    [b.peerId, 'direct', 'direct-lan', 'direct-lan', undefined]
  )
  const ice = report.attempts.find(({ technique }) => technique === 'ice-stun')
  assert.deepEqual([ice?.ok, ice?.path, ice?.reason], [true, 'direct-lan', undefined])
  assert.match(await a.metrics(), /nat_attempts_total\{method="ice-stun",result="direct"\} 1\n/)
  const again = await a.nat(b.peerId)
  assert.deepEqual([again.method, again.result, again.path, again.attempts], ['auto', 'direct', 'direct-lan', []])
  assert.deepEqual((await a.status()).nat, { count: 1, reachableRate: 1, directRate: 1, last100: { count: 1, reachableRate: 1, directRate: 1 } })
  await until(async () => (await a.peer(b.peerId)).path === 'direct-lan', 'the relay is left')
})

test('a peer whose NAT traversal is off stays on the relay, and says so', async (t) => {
  const { a, b, address } = await startPair(t, { natTraversal: false })
  const report = await a.nat(address)
  assert.deepEqual([report.result, report.path, report.reason], ['relayed', 'relayed', hopelessReasons.noTheirIce])
  assert.ok(report.relay !== undefined && address.includes(report.relay.peerId))
  assert.ok(report.retryInMs !== undefined && report.retryInMs <= 30_000 && report.retryInMs > 25_000)
  assert.deepEqual((await a.status()).nat.last100, { count: 1, reachableRate: 1, directRate: 0 })
  const forced = await a.nat(b.peerId, { method: 'stun' })
  assert.deepEqual([forced.result, forced.now, forced.error?.code], ['failed', 'relayed', 'NAT_METHOD_FAILED'])
  assert.match(forced.error?.message ?? '', /the peer has no ICE/)
})

test('a direct address that never answers does not hold up the relay', async (t) => {
  const { a, b, address } = await startPair(t, { natTraversal: false })
  await using silent = await silentAddresses(1)
  await assert.rejects(a.nat(`${silent.addresses[0]}/p2p/${b.peerId}`, { timeoutMs: 200 }), { code: 'TIMEOUT' })
  const { result, usableMs, attempts } = await a.nat(address)
  assert.equal(result, 'relayed')
  assert.ok((usableMs ?? 5_000) < 2_000, `usable after ${usableMs} ms`)
  assert.equal(attempts.find(({ technique }) => technique === 'dial')?.reason, 'no answer in 3 s')
})

test('the caller can end it, and a deadline does', async (t) => {
  const { a } = await startPair(t)
  const nowhere = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
  const { result, error } = await a.nat(nowhere)
  assert.deepEqual([result, error?.code], ['failed', 'PEER_UNREACHABLE'])
  assert.match(error?.message ?? '', /dial: connection refused/)
  await assert.rejects(a.nat(nowhere, { signal: AbortSignal.abort() }), { code: 'ABORTED' })
  await using silent = await silentAddresses(1)
  const waiting = `${silent.addresses[0]}/p2p/12D3KooWQUQqUvvEARecQyUmuejX78eVNBEgBexFyax1VsvUYbwX`
  await assert.rejects(a.nat(waiting, { timeoutMs: 300 }), { code: 'TIMEOUT' })
  const silence = await a.nat(waiting)
  assert.deepEqual(new Set(silence.reason?.split('; ')), new Set(['dial: no answer in 3 s', 'relay: no relay is known']))
})
