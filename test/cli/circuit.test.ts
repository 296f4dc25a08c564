import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { z } from 'zod'
import { catalogue, ControlClient } from '../../src/api/index.ts'
import { until } from '../net/support.ts'
import { initNode, json, type RealNode, startNode } from './real-nodes.ts'
import { finished, type Home } from './support.ts'

const relays = 8
const patienceMs = 40_000

const statusOf = (home: Home) => new ControlClient(home.paths).call('status', {})
const circuitsOf = async (home: Home) => (await new ControlClient(home.paths).call('circuitList', { showPath: true })).circuits
const circuit = async (home: Home, ...args: readonly string[]) => catalogue.circuitOpen.output(z).parse(await json(home, 'circuit', ...args))
const message = async (home: Home, ...args: readonly string[]) => catalogue.message.output(z).parse(await json(home, 'message', ...args))
/** Until a node knows so many relays beside itself. */
const knows = (home: Home, count: number): Promise<void> =>
  until(async () => (await statusOf(home)).onion.known.relays === count, `${count} relays are known`, patienceMs)

/** Runs a line that fails, and gives what its JSON says. */
async function failure(home: Home, ...args: readonly string[]) {
  const { code, stdout, stderr } = await home.p2p(...args, '--json')
  assert.equal(stdout, '')
  return { exit: code, ...JSON.parse(stderr).error }
}

async function pair(me: RealNode, other: RealNode, alias: string): Promise<void> {
  const { invite }: { readonly invite: string } = await json(other.home, 'invite')
  await json(me.home, 'join', invite, '--as', alias)
}

interface Mesh {
  readonly me: RealNode
  readonly peer123: RealNode
  readonly peer456: RealNode
  /** All but `me`. */
  readonly others: RealNode[]
  /** Where new nodes begin. */
  readonly bootstrap: string
  readonly t: TestContext
}

/** Eight processes that relay for each other; the second is paired with two of them under the aliases of the contract. */
async function startMesh(t: TestContext): Promise<Mesh> {
  const seed = await initNode(t, 'seed', ['--onion'])
  const flags = ['--onion', '--bootstrap', seed.address]
  const [me, ...others] = await Promise.all(Array.from({ length: relays - 1 }, (_, index) => initNode(t, `node-${index + 1}`, flags)))
  const [peer123, peer456] = others
  assert.ok(me && peer123 && peer456)
  await pair(me, peer123, 'peer-123')
  await pair(me, peer456, 'peer-456')
  await Promise.all([seed, me, ...others].map(({ home }) => knows(home, relays - 1)))
  return { me, peer123, peer456, others: [seed, ...others], bootstrap: seed.address, t }
}

async function contractLines({ me, peer123, peer456 }: Mesh): Promise<void> {
  for (const [alias, hops, end] of [
    ['peer-123', 3, peer123],
    ['peer-456', 5, peer456]
  ] as const) {
    const { code, stdout, stderr } = await me.home.p2p('circuit', alias, '--hops', String(hops))
    assert.equal(code, 0, stderr)
    assert.match(stdout, new RegExp(`^✓ circuit to ${alias} over (${hops}|${hops + 1}) relays, hybrid X25519 \\+ ML-KEM level 3   id [0-9a-f]{8}\n`))
    assert.match(stdout, /\n  built in .* round trip /)
    assert.match(stdout, /\n  . relays, chosen from [56] \(1 network, [56] operators\); [67] members could be the sender\n/)
    assert.match(stdout, /\n  hides\n {4}· who talks to whom from every single relay/)
    assert.match(stdout, /\n  does NOT hide\n {4}! timing/)
    assert.match(stdout, new RegExp(`\n  Messages to ${alias} go over it from now on`))
    assert.doesNotMatch(stdout, /path: you/)
    const sent = await me.home.p2p('message', alias, `hello ${alias}`)
    assert.match(sent.stdout, new RegExp(`^✓ stored at ${alias} in .* \\(onion\\)`))
    const { messages } = catalogue.inboxRead.output(z).parse(await json(end.home, 'inbox', 'read', '--ack'))
    assert.deepEqual(
      messages.map(({ body, source, paired }) => [body, source, paired]),
      [[`hello ${alias}`, me.peerId, true]]
    )
  }
  await until(
    async () => (await new ControlClient(me.home.paths).call('outboxList', { state: ['read'] })).messages.length === 2,
    'both are read',
    patienceMs
  )
}

async function listAndClose({ me, others, peer123 }: Mesh): Promise<void> {
  const built = await circuit(me.home, 'peer-123', '--hops', '4', '--show-path')
  const path = (built.path ?? []).map(({ peerId }) => peerId)
  assert.ok(built.hops >= 4 && path.length === built.hops)
  assert.equal(new Set([...path, me.peerId, peer123.peerId]).size, path.length + 2)
  const ids = new Set(others.map(({ peerId }) => peerId))
  assert.ok(path.every((peerId) => ids.has(peerId)))
  assert.equal((await circuit(me.home, 'peer-123')).path, undefined)
  const listed = async (...more: readonly string[]) => catalogue.circuitList.output(z).parse(await json(me.home, 'circuit', 'list', ...more)).circuits
  assert.ok((await listed()).every((each) => each.path === undefined))
  assert.ok((await listed('--show-path')).every((each) => each.state === 'building' || each.path?.length === each.hops))
  const text = (await me.home.p2p('circuit', 'list')).stdout
  assert.match(text, new RegExp(`^${built.circuit}  to peer-123 +ready +\\d relays  level 3 .* left$`, 'm'))
  assert.match(text, /^[0-9a-f]{8}  \(spare\) /m)
  const closed = await me.home.p2p('circuit', 'close', built.circuit.slice(0, 6))
  assert.equal(closed.stdout, `✓ circuit ${built.circuit} ended\n`)
  const again = await failure(me.home, 'circuit', 'close', built.circuit)
  assert.deepEqual([again.exit, again.code], [5, 'CIRCUIT_UNKNOWN'])
}

async function refusals({ me }: Mesh): Promise<void> {
  assert.deepEqual((await me.home.p2p('circuit', 'peer-123', '--hops', '9')).code, 2)
  const line = ['circuit', 'peer-123', '--hops', '8']
  // A node that is young waits for others before it refuses.
  const [refused, told] = await Promise.all([failure(me.home, ...line), me.home.p2p(...line)])
  assert.deepEqual([refused.exit, refused.code], [10, 'CIRCUIT_TOO_FEW_RELAYS'])
  assert.match(refused.message, /^A circuit needs 8 relays, and 6 can be used here/)
  assert.match(refused.hint, /onion_routing on.*--allow-short.*--via direct/)
  assert.match(told.stderr, /A circuit needs 8 relays, and 6 can be used here/)
  const short = await circuit(me.home, 'peer-123', '--hops', '8', '--allow-short')
  assert.deepEqual([short.hops, short.wanted, short.carriesMessages], [6, 8, true])
  assert.ok(short.anonymity.waivers.includes('short'))
  const single = await me.home.p2p('circuit', 'peer-123', '--hops', '1')
  assert.match(single.stdout, /Messages to peer-123 do not go over it: the options onion_hops/)
  const direct = await failure(me.home, 'ping', 'peer-123')
  assert.deepEqual([direct.exit, direct.code], [10, 'ONION_ONLY'])
  assert.equal((await me.home.p2p('ping', 'peer-123', '--via', 'direct')).code, 0)
}

async function plainNode({ bootstrap, me, others, t }: Mesh): Promise<void> {
  const plain = await startNode(t, 'plain', bootstrap)
  others.push(plain)
  await pair(me, plain, 'peer-789')
  const refused = await Promise.all([failure(me.home, 'circuit', 'peer-789'), failure(me.home, 'message', 'peer-789', 'hidden')])
  for (const { exit, code } of refused) assert.deepEqual([exit, code], [10, 'CIRCUIT_NO_ENDPOINT'])
  const open = await message(me.home, 'peer-789', 'seen by who watches', '--via', 'direct')
  assert.deepEqual([open.status, open.path], ['stored', 'direct-lan'])
  assert.match((await plain.home.p2p('status')).stdout, /^ {2}onion +off; 8 relays known, policy lan$/m)
  await knows(plain.home, relays)
  const hidden = await message(plain.home, me.peerId, 'from somebody without circuits of its own', '--via', 'onion')
  assert.deepEqual([hidden.status, hidden.path], ['stored', 'onion'])
  await json(plain.home, 'config', 'set', 'onion_routing', 'true')
  await json(plain.home, 'restart')
  await knows(me.home, relays)
  const answered = await message(me.home, 'peer-789', 'now over a circuit')
  assert.deepEqual([answered.status, answered.path], ['stored', 'onion'])
  assert.match((await plain.home.p2p('status')).stdout, /^ {2}onion +on, relays for others; 8 relays known, policy lan; /m)
}

async function endpointOnly({ bootstrap, me, t }: Mesh): Promise<void> {
  const end = await initNode(t, 'end', ['--onion', '--no-relay', '--bootstrap', bootstrap])
  await pair(me, end, 'quiet')
  await until(async () => (await statusOf(me.home)).onion.known.endpoints === 1, 'the endpoint is known', patienceMs)
  assert.match((await end.home.p2p('status')).stdout, /^ {2}onion +on, endpoint only; 9 relays known, policy lan; /m)
  assert.match((await me.home.p2p('status', '--detailed')).stdout, /^ {2}onion +on, relays for others; 8 relays and 1 endpoint known, policy lan; /m)
  // All relays that there are.
  const whole = await circuit(me.home, 'peer-123', '--hops', '8', '--allow-short', '--show-path')
  assert.equal(whole.hops, relays - 1)
  assert.ok(!(whole.path ?? []).some(({ peerId }) => peerId === end.peerId))
  assert.deepEqual([(await circuit(me.home, 'quiet')).peer.peerId, (await message(me.home, 'quiet', 'hello')).path], [end.peerId, 'onion'])
  assert.equal((await statusOf(end.home)).onion.role, 'endpoint')
  await end.home.stop()
}

async function interrupt({ me, peer456 }: Mesh): Promise<void> {
  const pid = peer456.home.pid() ?? assert.fail('it does not run')
  for (const { circuit: id, peer } of await circuitsOf(me.home)) if (peer?.peerId === peer456.peerId) await json(me.home, 'circuit', 'close', id)
  process.kill(pid, 'SIGSTOP')
  try {
    const child = me.home.spawn(['p2p', 'circuit', 'peer-456'])
    const toPeer = async () => (await circuitsOf(me.home)).filter(({ peer }) => peer?.peerId === peer456.peerId)
    await until(async () => (await toPeer()).some(({ state }) => state === 'building'), 'a circuit to the sleeping peer is being built', patienceMs)
    child.kill('SIGINT')
    const { code, stdout } = await finished(child)
    assert.deepEqual([code, stdout], [130, ''])
    await until(async () => (await toPeer()).length === 0, 'no circuit leads there', patienceMs)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  assert.equal((await message(me.home, 'peer-456', 'awake again')).status, 'stored')
}

async function restarted({ me, t }: Mesh): Promise<void> {
  const guardsOf = async () => new Set((await circuitsOf(me.home)).map(({ path }) => path?.[0]?.peerId))
  const [before, started] = [await guardsOf(), performance.now()]
  await json(me.home, 'restart')
  const built = await circuit(me.home, 'peer-123', '--show-path')
  const ms = performance.now() - started
  assert.ok(ms < 15_000, `${Math.round(ms)} ms until the first circuit`)
  assert.ok(before.has(built.path?.[0]?.peerId), 'the guard is the same')
  const report = await message(me.home, 'peer-123', 'after the restart')
  assert.deepEqual([report.status, report.path], ['stored', 'onion'])
  t.diagnostic(`a circuit ${Math.round(ms)} ms after the restart began`)
}

async function killedRelay({ me, others }: Mesh): Promise<void> {
  const { path } = await circuit(me.home, 'peer-123', '--show-path')
  await message(me.home, 'peer-123', 'over all of it')
  const dead = others.find(({ peerId }) => peerId === path?.[1]?.peerId)
  process.kill(dead?.home.pid() ?? assert.fail('the relay is one of ours'), 'SIGKILL')
  const report = await message(me.home, 'peer-123', 'in spite of the dead', '--timeout', '60')
  assert.deepEqual([report.status, report.path], ['stored', 'onion'])
}

const parts: readonly (readonly [string, (mesh: Mesh) => Promise<void>])[] = [
  ['circuits of three and of five relays are built as they stand in the contract, and messages go over them', contractLines],
  ['circuits are listed and closed; relays are named where that is asked for only', listAndClose],
  ['what cannot be built is refused with its counts and the way out, and fewer relays are taken when that is allowed', refusals],
  ['who has no onion_routing is refused unless --via direct is said, can send over a circuit, and takes part after a restart', plainNode],
  ['init --onion --no-relay makes an endpoint: on no path, and reached by all', endpointOnly],
  ['Ctrl-C ends the build with exit code 130, and nothing of it is left', interrupt],
  ['a daemon that is started again keeps its guards and the directory, and has circuits within seconds', restarted],
  ['a relay that is killed costs no message: another circuit is taken', killedRelay]
]

test('circuits between processes: the lines of the contract, and what else can be said of them', { timeout: 300_000 }, async (t) => {
  const mesh = await startMesh(t)
  for (const [name, part] of parts) await t.test(name, () => part(mesh))
  await Promise.all([mesh.me, ...mesh.others].map(({ home }) => home.stop()))
})
