import assert from 'node:assert/strict'
import { test } from 'node:test'
import { movedPorts } from '../../src/cli/life-commands.ts'
import { Home, runHere } from './support.ts'

const nowhere = { HOME: '/nonexistent', SYNAPTIC_MESH_DATA_DIR: '/nonexistent/data' }

test('a proposed command means the profile that was typed, so that it can be run as it stands', async () => {
  const plain = await runHere(['p2p', 'status', '--profile', 'alice'], { HOME: '/nonexistent' })
  assert.match(plain.stderr, /Next: synaptic-mesh p2p init --profile alice\n/)
  const { stderr } = await runHere(['p2p', 'status', '--data-dir', "/nonexistent/it's here", '--json'], { HOME: '/nonexistent' })
  assert.deepEqual(JSON.parse(stderr).error.next, [`synaptic-mesh p2p init --data-dir '/nonexistent/it'\\''s here'`])
  assert.deepEqual(JSON.parse((await runHere(['p2p', 'status', '--json'], nowhere)).stderr).error.next, ['synaptic-mesh p2p init'])
})

test('what the doctor says to type means that profile, too', async () => {
  const { stdout } = await runHere(['p2p', 'doctor', '--profile', 'alice'], nowhere)
  assert.match(stdout, /Make one: synaptic-mesh p2p --profile alice init/)
})

test('a command without its p2p is found', async () => {
  const { code, stderr } = await runHere(['status', '--detailed'], nowhere)
  assert.equal(code, 2)
  assert.match(stderr, /Did you mean p2p status\?/)
})

test('--timeout is told where it means something of its own', async () => {
  assert.match((await runHere(['p2p', 'ping', '--help'], nowhere)).stdout, /give up after this many seconds \(default\s+10\)/)
  assert.match((await runHere(['p2p', 'join', '--help'], nowhere)).stdout, /give up after this many seconds \(default\s+30\)/)
})

test('listen ends at its --timeout: with TIMEOUT when nothing came, else well', async (t) => {
  const home = new Home(t)
  home.messages([{ id: 'm1', body: 'hi' }])
  await home.p2p('init')
  const some = await home.p2p('listen', '--ack', '--timeout', '0.5')
  assert.deepEqual([some.code, some.stdout.split('\n')[1]], [0, 'hi'])
  const none = await home.p2p('listen', '--once', '--timeout', '0.2', '--json')
  assert.deepEqual([none.code, none.stdout, JSON.parse(none.stderr).error.code], [6, '', 'TIMEOUT'])
})

test('a type of message is taken by the name that it is shown with', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  for (const [typed, shown] of [
    ['Thought', 'Thought'],
    ['HEALTH', 'HealthCheck'],
    ['ConsensusProposal', 'ConsensusProposal'],
    ['AgentCoordination', 'AgentCoordination']
  ] as const) {
    const { stdout, stderr } = await home.p2p('message', 'agent-001', 'hi', '--msg-type', typed, '--json')
    assert.equal(JSON.parse(stdout).type, shown, stderr)
  }
  assert.equal((await home.p2p('inbox', '--type', 'Command,SwarmSync')).code, 0)
})

test('init says which port it took instead of one in use', () => {
  const wanted = ['/ip4/0.0.0.0/tcp/9000', '/ip6/::/tcp/9000', '/ip4/0.0.0.0/tcp/9001/ws']
  assert.deepEqual([...movedPorts(wanted, ['/ip4/127.0.0.1/tcp/9002/p2p/x', '/ip4/127.0.0.1/tcp/9001/ws/p2p/x'])], [['9000', '9002']])
  assert.deepEqual([...movedPorts(wanted, ['/ip4/127.0.0.1/tcp/9000/p2p/x', '/ip4/127.0.0.1/tcp/9001/ws/p2p/x'])], [])
  assert.deepEqual([...movedPorts(['/ip4/127.0.0.1/tcp/0'], ['/ip4/127.0.0.1/tcp/4711/p2p/x'])], [])
  assert.deepEqual([...movedPorts(wanted, [])], [])
})

test('an empty list says whether there is nothing, or nothing that matches', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  assert.equal((await home.p2p('outbox')).stdout, 'nothing was sent\n')
  assert.equal((await home.p2p('inbox')).stdout, 'no unread messages\n')
  await home.p2p('message', 'agent-001', 'hi')
  assert.equal((await home.p2p('outbox', '--state', 'failed')).stdout, 'no message matches\n')
  assert.equal((await home.p2p('inbox', '--state', 'read')).stdout, 'no message matches\n')
})

test('reading says what becomes of the messages, and an invite what to do with it, beside the data', async (t) => {
  const home = new Home(t)
  home.messages([{ id: 'm1', body: 'hi' }])
  await home.p2p('init')
  assert.match((await home.p2p('inbox', 'read')).stderr, /^not acknowledged, .*: synaptic-mesh p2p inbox read --ack\n$/)
  assert.equal((await home.p2p('inbox', 'read', '--quiet')).stderr, '')
  assert.equal((await home.p2p('inbox', 'read', '--ack')).stderr, '1 message acknowledged\n')
  const invite = await home.p2p('invite')
  assert.match(invite.stdout, /^\S+\n$/)
  assert.match(invite.stderr, /^for one peer, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ; there: synaptic-mesh p2p join INVITE\n/)
  assert.match(invite.stderr, /^when it was used, the three words to compare: synaptic-mesh p2p invite wait [0-9a-f]{16}\n$/m)
})
