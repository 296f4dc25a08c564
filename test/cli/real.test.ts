import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { MeshError } from '../../src/core/base/index.ts'
import { bin, json, startNode } from './real-nodes.ts'
import { Home, isAlive, type Result } from './support.ts'

test('the lines of the contract work between profiles that were paired by invite and join and found through one bootstrap node', async (t) => {
  const bootstrap = await startNode(t, 'bootstrap')
  const [me, agent, beta] = await Promise.all(['me', 'agent-001', 'node-beta'].map((name) => startNode(t, name, bootstrap.address)))
  assert.ok(me && agent && beta)
  for (const other of [agent, beta]) {
    const { invite }: { readonly invite: string } = await json(me.home, 'invite')
    assert.ok(invite.length <= 300)
    assert.equal((await json(other.home, 'join', invite))['peerId'], me.peerId)
  }
  const contract: readonly (readonly string[])[] = [
    ['init'],
    ['init', '--max-peers', '100'],
    ['discover', '--method', 'kademlia', '--count', '20', '--timeout', '5'],
    ['message', 'agent-001', '--msg-type', 'thought', '--content', 'Processing sensory data', '--priority', '8'],
    ['message', 'node-beta', '--msg-type', 'command', '--content', 'Execute task sequence', '--priority', '10'],
    ['status'],
    ['status', '--detailed']
  ]
  for (const line of contract) {
    const result: Result = await me.home.p2p(...line)
    assert.equal(result.code, 0, `${line.join(' ')}: ${result.stderr}`)
    assert.ok(result.stdout.length > 0)
  }
  const found = catalogue.discover.output(z).parse(await json(me.home, 'discover', '--method', 'kademlia', '--count', '3'))
  assert.deepEqual(new Set(found.peers.map(({ peerId }) => peerId)), new Set([bootstrap.peerId, agent.peerId, beta.peerId]))
  const { messages } = catalogue.inboxList.output(z).parse(await json(agent.home, 'inbox'))
  assert.deepEqual(
    messages.map(({ type, body, priority, source, paired }) => [type, body, priority, source, paired]),
    [['Thought', 'Processing sensory data', 8, me.peerId, true]]
  )
  const detailed = catalogue.status.output(z).parse(await json(me.home, 'status', '--detailed'))
  assert.ok((detailed.connections ?? []).length >= 2 && detailed.latencyMs.p50 !== undefined)
  for (const [name, args] of [
    ['peers', ['peers']],
    ['ping', ['ping', 'agent-001']],
    ['outboxList', ['outbox']],
    ['metrics', ['metrics']],
    ['configGet', ['config']]
  ] as const) {
    assert.doesNotThrow(async () => catalogue[name].output(z).parse(await json(me.home, ...args)))
  }
})

test('a request is answered, a stranger is held and may not command, and a name that nobody has is unknown', async (t) => {
  const one = await startNode(t, 'one')
  const two = await startNode(t, 'two', one.address)
  const held = await json(two.home, 'message', one.address, 'hello stranger')
  assert.equal(held['status'], 'held')
  const refused = await two.home.p2p('message', one.address, 'obey', '--msg-type', 'command', '--json')
  assert.deepEqual([refused.code, JSON.parse(refused.stderr).error.code], [4, 'COMMAND_NOT_ALLOWED'])
  const unknown = await two.home.p2p('message', 'three', 'x', '--json')
  assert.deepEqual([unknown.code, JSON.parse(unknown.stderr).error.code], [5, 'PEER_UNKNOWN'])
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(two.home, 'join', invite)
  const third = await startNode(t, 'third')
  const used = await third.home.p2p('join', invite, '--json')
  assert.deepEqual([used.code, JSON.parse(used.stderr).error.code], [9, 'INVITE_USED'])
  const [asked] = await Promise.all([
    json<{ readonly response: { readonly body: string } }>(two.home, 'message', 'one', 'count', '--request', '--timeout', '30'),
    answer(one.home)
  ])
  assert.equal(asked.response.body, 'three')
})

/** Takes one Command and answers it. */
async function answer(home: Home): Promise<void> {
  const { id } = await json<{ readonly id: string }>(home, 'listen', '--type', 'command', '--once')
  await json(home, 'inbox', 'reply', id, 'three', '--ack')
}

test('a port that is taken is not fatal: the next free one is used, and said so', async (t) => {
  const one = await startNode(t, 'one')
  const port = /tcp\/(\d+)/.exec(one.address)?.[1] ?? ''
  const home = new Home(t, bin)
  const { addresses } = await json<{ readonly addresses: readonly string[] }>(home, 'init', '--listen', `/ip4/127.0.0.1/tcp/${port}`, '--no-mdns')
  assert.ok(addresses.length > 0 && !addresses[0]?.includes(`/tcp/${port}/`))
})

test('the demo shows eight nodes, all nine types, an answer and a crash that loses nothing, in under a minute, and leaves nothing behind', async (t) => {
  const leftovers = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('synaptic-mesh-demo-'))
  const before = leftovers()
  const home = new Home(t, bin)
  const { code, stdout, stderr } = await home.p2p('demo')
  assert.equal(code, 0, stderr + stdout)
  for (const word of [
    'Thought',
    'AgentCoordination',
    'SwarmSync',
    'ConsensusProposal',
    'ConsensusVote',
    'HealthCheck',
    'MetricsUpdate',
    'Command',
    'Response'
  ])
    assert.match(stdout, new RegExp(`^${word} .*stored`, 'm'))
  assert.match(stdout, /5 of 5 messages delivered after its restart/)
  assert.match(stdout, /✓ 8 nodes, 8 found each other/)
  assert.match(stdout, /swarm-alpha of 8 nodes: a message stored at 7 of 7 members/)
  assert.match(stdout, /a circuit from agent-001 to agent-004 over [34] relays, .*: a message stored over it/)
  assert.match(stdout, /a circuit from agent-001 to agent-006 over [56] relays, .*: a message stored over it/)
  const seconds = Number(/each other, ([\d.]+) s in all/.exec(stdout)?.[1])
  assert.ok(seconds < 60, `${seconds} s`)
  assert.deepEqual(leftovers(), before)
  for (const [, pid] of stderr.matchAll(/pid (\d+)/g)) assert.ok(!isAlive(Number(pid)), `process ${pid} is left`)
})

test('the smallest demo has three nodes, and circuits over the one that is left', async (t) => {
  const { code, stdout, stderr } = await new Home(t, bin).p2p('demo', '--nodes', '3')
  assert.equal(code, 0, stderr + stdout)
  assert.match(stdout, /a circuit from agent-001 to agent-002 over 1 relay, .*: a message stored over it/)
  assert.match(stdout, /a circuit from agent-001 to agent-003 over 1 relay, .*: a message stored over it/)
})

test('an older Node is told what is missing, without a stack trace', (t) => {
  const old = ['/usr/bin/node', '/usr/local/bin/node'].find(
    (path) => existsSync(path) && Number(/v(\d+)/.exec(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout)?.[1]) < 24
  )
  if (old === undefined) {
    t.skip('no Node older than 24 is installed here')
    return
  }
  const version = spawnSync(old, ['--version'], { encoding: 'utf8' }).stdout.trim()
  const plain = spawnSync(old, [bin, 'p2p', 'status'], { encoding: 'utf8' })
  assert.equal(plain.status, 2)
  assert.equal(plain.stderr.split('\n').length, 3)
  const told = spawnSync(old, [bin, 'p2p', 'status', '--json'], { encoding: 'utf8' })
  assert.deepEqual(JSON.parse(told.stderr).error, new MeshError('NODE_TOO_OLD', { found: version }).report())
  assert.equal(told.status, 2)
})
