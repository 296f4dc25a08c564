import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { catalogue, type OutputOf, type Catalogue } from '../../src/api/index.ts'
import { freePort } from '../api/harness.ts'
import { until } from '../net/support.ts'
import { bin, json, startNode } from './real-nodes.ts'
import { finished, Home, isAlive } from './support.ts'

type Served = OutputOf<Catalogue['relayServe']>

interface Relay {
  readonly home: Home
  readonly served: Served
  readonly flags: readonly string[]
  /** Asks it to end; its exit code and what it wrote to stderr. */
  stop(): Promise<{ readonly code: number | null; readonly stderr: string }>
  kill(): void
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

const portsOf = async (): Promise<readonly string[]> => [
  ...['--port', String(await freePort())],
  ...['--ws-port', String(await freePort())],
  ...['--stun-port', String(await freeUdpPort())]
]

async function serve(t: TestContext, home: Home, ...more: readonly string[]): Promise<Relay> {
  const child = home.spawn(['p2p', 'relay', 'serve', '--json', ...more])
  t.after(() => child.kill('SIGKILL'))
  const end = finished(child)
  const lines = createInterface({ input: child.stdout })
  const first = await Promise.race([once(lines, 'line'), end.then(({ stderr }) => Promise.reject(new Error(stderr)))])
  const served = catalogue.relayServe.output(z).parse(JSON.parse(String(first[0])))
  const stop = async (): ReturnType<Relay['stop']> => {
    child.kill('SIGTERM')
    return end
  }
  return { home, served, flags: served.flags.split(' '), stop, kill: () => void child.kill('SIGKILL') }
}

test('relay serve makes a relay of a machine: what it prints is all that others need, and SIGTERM ends it cleanly', async (t) => {
  const home = new Home(t, bin)
  const { served, flags, stop } = await serve(t, home, '--open', '--host', '127.0.0.1', ...(await portsOf()))
  assert.deepEqual([served.created, served.open, served.stunPort > 0, served.addresses.length], [true, true, true, 2])
  const [tcp = '', ws = ''] = served.addresses
  assert.deepEqual(flags, ['--relay', tcp, '--relay', ws, '--bootstrap', tcp])
  const one = new Home(t, bin)
  await json(one, 'init', '--name', 'one', '--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', ...flags)
  const statusOf = async (of: Home): Promise<OutputOf<Catalogue['status']>> => catalogue.status.output(z).parse(await json(of, 'status'))
  const { relays } = await statusOf(one)
  assert.deepEqual(
    relays.map(({ peerId, reserved }) => [peerId, reserved]),
    [[served.peerId, true]]
  )
  const two = new Home(t, bin)
  await json(two, 'init', '--name', 'two', '--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--relay', ws)
  await until(async () => (await statusOf(home)).serving?.reservations === 2, 'both have a place')
  assert.match((await home.p2p('status')).stdout, /relay +2 places kept, 0 circuits open/)
  assert.match((await two.p2p('status')).stdout, /relays +\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\/\w+ {2}a place, [\d.]+ ms/)
  const { code, stderr } = await stop()
  assert.equal(code, 0)
  const events = stderr
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).event)
  assert.ok(events.includes('daemon.started') && events.includes('daemon.stopped'), events.join())
})

test('a host alone is announced with the ports of the relay, whole addresses as they are, before what is local', async (t) => {
  const whole = '/ip4/192.0.2.7/tcp/4001'
  const { served, flags, stop } = await serve(
    t,
    new Home(t, bin),
    '--host',
    '127.0.0.1',
    ...(await portsOf()),
    '--announce',
    'relay.example',
    '--announce',
    whole
  )
  assert.deepEqual(
    served.reachable.map((address) => address.replace(/\/p2p\/.*/, '').replace(/\/tcp\/\d+/, '/tcp/N')),
    ['/dns/relay.example/tcp/N', '/dns/relay.example/tcp/N/ws', '/ip4/192.0.2.7/tcp/N']
  )
  assert.deepEqual(flags, ['--relay', served.reachable[0], '--relay', served.reachable[1], '--bootstrap', served.reachable[0]])
  await stop()
})

test('an invite of a relay pairs, and a paired peer gets a place there', async (t) => {
  const relay = await serve(t, new Home(t, bin), '--host', '127.0.0.1', '--network', 'test-cli', ...(await portsOf()))
  assert.equal(relay.served.open, false)
  const node = await startNode(t, 'node')
  await json(node.home, 'config', 'set', 'relays', relay.served.addresses[0] ?? '')
  await json(node.home, 'restart')
  assert.deepEqual(
    (await json<{ readonly relays: readonly { readonly reserved: boolean }[] }>(node.home, 'status')).relays.map(({ reserved }) => reserved),
    [false]
  )
  const { invite } = await json<{ readonly invite: string }>(relay.home, 'invite')
  await json(node.home, 'join', invite)
  await until(
    async () => (await json<{ readonly serving: { readonly reservations: number } }>(relay.home, 'status')).serving.reservations === 1,
    'it has a place'
  )
  await relay.stop()
})

test('a relay that is there keeps what is not told, and starts as one with start, too', async (t) => {
  const home = new Home(t, bin)
  const first = await serve(t, home, '--open', '--host', '127.0.0.1', ...(await portsOf()))
  await first.stop()
  const again = await serve(t, home)
  assert.deepEqual({ ...again.served, pid: 0, created: true }, { ...first.served, pid: 0 })
  const refused = await home.run(['p2p', 'relay', 'serve', '--json'])
  assert.deepEqual([refused.code, JSON.parse(refused.stderr).error.code], [3, 'DAEMON_RUNNING'])
  await again.stop()
  const started = await json<{ readonly addresses: readonly string[] }>(home, 'start')
  assert.deepEqual(started.addresses, first.served.addresses)
  assert.equal((await json<{ readonly serving: { readonly stunPort: number } }>(home, 'status')).serving.stunPort, first.served.stunPort)
})

test('when the command is killed its node ends, too', async (t) => {
  const home = new Home(t, bin)
  const { served, kill } = await serve(t, home, '--host', '127.0.0.1', ...(await portsOf()))
  kill()
  await until(() => !isAlive(served.pid), 'the node has ended', 15_000)
  assert.equal(home.pid(), undefined, 'cleanly')
})

test('a port that is taken is an error, not another port: others rely on it', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const address = taken.address()
  assert.ok(address !== null && typeof address === 'object')
  const { code, stderr } = await new Home(t, bin).run([
    'p2p',
    'relay',
    'serve',
    '--json',
    '--host',
    '127.0.0.1',
    '--port',
    String(address.port),
    '--ws-port',
    '0',
    '--stun-port',
    '0'
  ])
  const last = JSON.parse(stderr.trim().split('\n').at(-1) ?? '')
  assert.deepEqual([code, last.error.code], [3, 'LISTEN_FAILED'])
  assert.match(last.error.message, new RegExp(`${address.port}`))
})
