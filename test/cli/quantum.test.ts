import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { json, startNode } from './real-nodes.ts'

test('p2p quantum opens a session at each level with a peer under its alias, and status says what protects connections and sessions', async (t) => {
  const [me, peer] = await Promise.all([startNode(t, 'me'), startNode(t, 'other')])
  const { invite }: { readonly invite: string } = await json(peer.home, 'invite')
  await json(me.home, 'join', invite, '--as', 'peer-789')
  const words = new Set<string>()
  for (const [level, kem, bytes] of [
    ['1', 'ML-KEM-512', 1_984],
    ['3', 'ML-KEM-768', 2_688],
    ['5', 'ML-KEM-1024', 3_552]
  ] as const) {
    const report = catalogue.quantum.output(z).parse(await json(me.home, 'quantum', 'peer-789', '--level', level))
    assert.deepEqual([report.peerId, report.name, report.level, report.kem, report.hybrid], [peer.peerId, 'peer-789', Number(level), kem, 'X25519'])
    assert.deepEqual(
      [report.authentication, report.path, report.rekey],
      ['ed25519', 'direct-lan', { records: 1_048_576, bytes: 1_073_741_824, seconds: 600 }]
    )
    assert.ok(report.bytes > bytes, `${report.bytes} bytes`)
    words.add(report.words.join(' '))
    const { sessions } = catalogue.status.output(z).parse(await json(peer.home, 'status', '--detailed'))
    assert.ok(
      sessions?.some((session) => session.words?.join() === report.words.join() && session.level === report.level),
      'the peer shows the same words'
    )
  }
  assert.equal(words.size, 3, 'each session has words of its own')
  const shown = await me.home.p2p('quantum', 'peer-789', '--level', '3')
  assert.match(shown.stdout, /level 3, confirmed by the peer/)
  await json(me.home, 'message', 'peer-789', 'under the session')
  const status = catalogue.status.output(z).parse(await json(me.home, 'status', '--detailed'))
  assert.deepEqual([status.peers.connected, status.peers.quantum, status.quantum.policy, status.quantum.level], [1, 1, 'prefer', 3])
  assert.deepEqual(
    status.connections?.map(({ encryption, quantumLevel }) => [encryption, quantumLevel]),
    [['/noise-mlkem768-hfs/0.2.0', 3]]
  )
  assert.ok(status.sessions?.some(({ name, kem, authentication }) => name === 'peer-789' && kem === 'ML-KEM-768' && authentication === 'ed25519'))
})

test('a level that does not exist is a usage error that names the three', async (t) => {
  const me = await startNode(t, 'me')
  for (const level of ['0', '2', '4', '6', 'high']) {
    const { code, stderr } = await me.home.p2p('quantum', 'anybody', '--level', level)
    assert.equal(code, 2, level)
    assert.match(stderr, /1, 3 or 5/, level)
  }
})

test('a peer that requires level 5 refuses less with exit 8, and messages to it take its level by themselves', async (t) => {
  const [me, strict] = await Promise.all([startNode(t, 'me'), startNode(t, 'strict')])
  await json(strict.home, 'init', '--quantum')
  await json(strict.home, 'config', 'set', 'mlkem_security_level', '5')
  await json(strict.home, 'restart')
  const { invite }: { readonly invite: string } = await json(strict.home, 'invite')
  await json(me.home, 'join', invite, '--as', 'peer-999')
  for (const level of ['1', '3']) {
    const { code, stderr } = await me.home.p2p('quantum', 'peer-999', '--level', level, '--json')
    assert.deepEqual([code, JSON.parse(stderr).error.code], [8, 'LEVEL_REFUSED'])
  }
  assert.equal((await json(me.home, 'quantum', 'peer-999', '--level', '5'))['kem'], 'ML-KEM-1024')
  assert.equal((await json(me.home, 'message', 'peer-999', 'at your level'))['status'], 'stored')
  const { sessions, quantum } = catalogue.status.output(z).parse(await json(me.home, 'status', '--detailed'))
  assert.ok(sessions?.every(({ level }) => level === 5))
  assert.ok((quantum.failures.sessions['LEVEL_REFUSED'] ?? 0) >= 2)
  const refused = await strict.home.p2p('quantum', 'me', '--level', '3', '--json')
  assert.deepEqual([refused.code, JSON.parse(refused.stderr).error.code], [8, 'LEVEL_REFUSED'])
})
