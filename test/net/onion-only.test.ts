import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { LogRecord, Mesh } from '../../src/node/index.ts'
import { createTestnet, type Testnet } from '../../src/testing/index.ts'
import { until } from './support.ts'

const next = (mesh: Mesh, id: string, state: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${id} did not become ${state}`)), 15_000)
    const off = mesh.on('outbox', (report) => {
      if (report.id !== id || report.status !== state) return
      clearTimeout(timer)
      off()
      resolve()
    })
  })

const refusedFor =
  (code: string) =>
  (error: unknown): boolean =>
    isMeshError(error) && error.code === code && error.exitCode === 10 && error.hint.includes('--via direct')

describe('a node of which circuits are the rule', () => {
  let net: Testnet
  let alice: Mesh
  let bob: Mesh
  before(async () => {
    // The first one is nobody's friend: it brings the two together.
    net = await createTestnet(1)
    alice = await net.add({ onionRouting: true })
    bob = await net.add()
    await net.pair(alice, bob)
  })
  after(() => net.stop())

  test('refuses what would go directly, with the way out, and does it when that is said', async () => {
    for (const call of [() => alice.ping('node-2'), () => alice.quantum('node-2'), () => alice.nat('node-2')])
      await assert.rejects(call(), refusedFor('ONION_ONLY'))
    await assert.rejects(alice.nat('nobody-of-this-name'), { code: 'PEER_UNKNOWN' })
    assert.equal((await alice.ping('node-2', { count: 1, via: 'direct' })).rttMs.length, 1)
    assert.equal((await alice.quantum('node-2', { via: 'direct' })).path, 'direct-lan')
    await assert.rejects(
      alice.quantum('node-2', { via: 'onion', timeoutMs: 2_000 }),
      (error) => isMeshError(error) && [6, 10].includes(error.exitCode)
    )
    assert.equal((await alice.nat('node-2', { via: 'direct' })).result, 'direct')
  })

  test('accepts no message for which there is no circuit, and sends one directly when that is said', async () => {
    await assert.rejects(alice.send('node-2', 'hidden', { timeoutMs: 300 }), refusedFor('CIRCUIT_NO_ENDPOINT'))
    await assert.rejects(alice.request('node-2', 'hidden', { timeoutMs: 300 }), refusedFor('CIRCUIT_NO_ENDPOINT'))
    assert.deepEqual(await alice.outbox.list(), [])
    const report = await alice.send('node-2', 'plain', { via: 'direct' })
    assert.deepEqual([report.status, report.via, report.path], ['stored', 'direct', 'direct-lan'])
    const [row] = await alice.outbox.list()
    assert.equal(row?.via, 'direct')
    const { messages } = await bob.inbox.list()
    assert.equal(messages.length, 1)
  })

  test('takes what others send directly and answers on their own stream; a name that nobody here knows is not looked for', async () => {
    assert.equal((await bob.send(alice.peerId, 'to alice')).status, 'stored')
    const { messages } = await alice.inbox.list()
    const [message] = messages
    const read = next(bob, message?.id ?? '', 'read')
    await alice.inbox.ack(messages.map(({ source, id }) => ({ source: source.peerId, id })))
    await read
    await assert.rejects(alice.peer('a-name-that-nobody-has'), { code: 'PEER_UNKNOWN' })
  })
})

test('after a restart nobody is dialled but bootstrap peers, and what was accepted for the direct way is shown', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'onion-only-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await using net = await createTestnet(1)
  const bob = await net.add()
  const first = await net.add({}, { stateFolder: folder })
  await net.pair(first, bob)
  await bob.stop()
  const waiting = await first.send(bob.peerId, 'before circuits', { waitFor: 'accepted' })
  assert.equal(waiting.via, 'direct')
  await first.stop()

  const logs: LogRecord[] = []
  const again = await net.add({ onionRouting: true }, { stateFolder: folder, onLog: (record) => logs.push(record) })
  await until(async () => (await again.status()).peers.connected > 0, 'the bootstrap peer is connected')
  const status = await again.status()
  const codes = status.health.map(({ code }) => code)
  assert.ok(codes.includes('DIRECT_WAITING'), codes.join())
  assert.ok(!codes.includes('PEERS_AWAY'), 'paired peers are not kept connected')
  assert.equal(again.options.onionRouting, true)
  await again.outbox.cancel(waiting.id)
  assert.ok(!(await again.status()).health.some(({ code }) => code === 'DIRECT_WAITING'))
  assert.ok(!logs.some(({ event }) => event === 'peer.dial-failed'), 'the paired peer was not sought')
})
