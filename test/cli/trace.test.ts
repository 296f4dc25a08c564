import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { traceSteps } from '../../src/api/catalogue/comfort.ts'
import { bin, json, startNode } from './real-nodes.ts'
import { Home } from './support.ts'

const parse = (value: unknown) => catalogue.trace.output(z).parse(value)

test('trace goes the whole way to a peer, and says where it ends when the peer is gone or nobody', async (t) => {
  const one = await startNode(t, 'one')
  const two = await startNode(t, 'two', one.address)
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(two.home, 'join', invite)
  const whole = parse(await json(two.home, 'trace', 'one'))
  assert.ok(whole.ok)
  assert.deepEqual(
    whole.steps.map(({ step, state }) => [step, state]),
    traceSteps.map((step) => [step, step === 'circuit' ? 'skipped' : 'ok'])
  )
  const textOf = (name: string): string => whole.steps.find(({ step }) => step === name)?.text ?? ''
  assert.match(textOf('name'), new RegExp(`^${one.peerId} \\(.*paired`))
  assert.match(textOf('encryption'), /hybrid level 3/)
  assert.match(textOf('session'), /ML-KEM-768 \+ X25519, level 3, ed25519/)
  assert.match(textOf('round-trip'), /^[\d.]+ ms, [\d.]+ ms, [\d.]+ ms$/)
  // Nothing of it reaches the inbox there.
  assert.equal((await json<{ readonly unread: number }>(one.home, 'inbox')).unread, 0)

  await one.home.stop()
  const gone = await two.home.p2p('trace', 'one', '--timeout', '20', '--json')
  assert.equal(gone.code, 7, gone.stderr)
  const report = parse(JSON.parse(gone.stdout))
  const failed = report.steps.find(({ state }) => state === 'failed')
  assert.equal(failed?.step, 'connection')
  assert.equal(JSON.parse(gone.stderr).error.code, failed?.error?.code)
  assert.ok(report.steps.filter(({ step }) => ['session', 'round-trip'].includes(step)).every(({ state }) => state === 'skipped'))

  const nobody = await two.home.p2p('trace', 'nobody')
  assert.equal(nobody.code, 5)
  assert.match(nobody.stdout, /✗ name .*\n/)
  assert.match(nobody.stdout, /the way ends at name/)
  assert.match(nobody.stderr, /PEER_UNKNOWN/)
})

test('bench of a peer measures round trips and handshakes and leaves its inbox alone', async (t) => {
  const one = await startNode(t, 'one')
  const two = await startNode(t, 'two', one.address)
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(two.home, 'join', invite)
  const { way, local } = catalogue.bench.output(z).parse(await json(two.home, 'bench', 'one', '--seconds', '1'))
  assert.equal(local, undefined)
  assert.ok(way !== undefined && way.roundTripMs.count >= 20 && way.handshakeMs.count >= 3 && way.level === 3)
  assert.ok(way.roundTripMs.minMs <= way.roundTripMs.medianMs && way.roundTripMs.medianMs <= way.roundTripMs.maxMs)
  const { unread, held } = await json<{ readonly unread: number; readonly held: number }>(one.home, 'inbox')
  assert.deepEqual([unread, held], [0, 0])
})

test('bench measures this machine without a profile, and leaves nothing behind', async (t) => {
  const leftovers = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('synaptic-mesh-bench-'))
  const before = leftovers()
  const { local } = catalogue.bench.output(z).parse(await json(new Home(t, bin), 'bench', '--seconds', '1'))
  assert.ok(local !== undefined)
  const { signaturesPerSecond, verificationsPerSecond, kemHandshakesPerSecond, commitsPerSecond, messagesPerSecond } = local
  for (const rate of [signaturesPerSecond, verificationsPerSecond, kemHandshakesPerSecond, commitsPerSecond, messagesPerSecond])
    assert.ok(Number.isFinite(rate) && rate > 0, JSON.stringify(local))
  assert.ok(local.messageMs.count > 0 && local.commitMs.minMs <= local.commitMs.p95Ms)
  assert.deepEqual(leftovers(), before)
})
