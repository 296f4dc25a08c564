import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ControlClient } from '../../src/api/index.ts'
import { type ErrorCode, errorCodes, millis, toMeshError, wallMillis } from '../../src/core/base/index.ts'
import { expectBestSuite, noiseSuites } from '../../src/core/noise/index.ts'
import { kem } from '../../src/crypto/public.ts'
import { nodeHandshakeCrypto } from '../../src/crypto/handshake-crypto.ts'
import { decodeEnvelope } from '../../src/core/message/index.ts'
import { IceRunMachine } from '../../src/core/nat/index.ts'
import { checkProfileName, resolveConfig } from '../../src/core/options/index.ts'
import { decodeCard, encodeCard, encodeInvite, resolveName } from '../../src/core/peers/index.ts'
import { outcomeOf } from '../../src/cli/outcome.ts'
import { FrameReader } from '../../src/mesh/frame-reader.ts'
import { requiredTurnServers, turnFailure } from '../../src/mesh/ice/turn-servers.ts'
import type { Mesh, SendReport } from '../../src/mesh/mesh.ts'
import { sendReport } from '../../src/mesh/send-report.ts'
import { ensurePrivateFolder, fileError } from '../../src/node/files.ts'
import { IceEngine } from '../../src/node/ice-engine.ts'
import { probeTurn } from '../../src/node/turn-probe.ts'
import { loadIdentity } from '../../src/node/identity.ts'
import { freeListenAddresses } from '../../src/node/listen-addresses.ts'
import { openMemoryStores, openStores } from '../../src/node/sqlite/stores.ts'
import { prepareProfile } from '../../src/daemon/profile.ts'
import { Daemon } from '../../src/daemon/daemon.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { FakeMesh } from '../api/fake-mesh.ts'
import { freePort, identity, pathsIn, raw, type Rig, startRig, temporaryFolder } from '../api/harness.ts'
import { repository, runHere } from '../cli/support.ts'
import { aliceOptions, bobOptions, End, openPair, settle } from '../core/session/support.ts'
import { cardOf, network, seeded, signerOf, verifier } from '../core/peers/support.ts'
import { agentProducers } from './agent-producers.ts'
import { circuitProducers } from './circuit-producers.ts'
import { comfortProducers } from './comfort-producers.ts'
import { gatewayProducers } from './gateway-producers.ts'
import { groupProducers } from './group-producers.ts'
import { startTestHost, takePlace } from './support.ts'
import { keyProducers } from './key-producers.ts'
import { trustProducers } from './trust-producers.ts'

/**
 * Every code of the error table comes out of the software itself: each producer calls the code that reports it, and makes no error of its own.
 * What a producer throws, or returns as a report, is what is judged.
 */
interface World {
  readonly t: TestContext
  readonly rig: Rig
  /** Real nodes: `me` is paired with `friend`, not with `stranger`. */
  readonly me: Mesh
  readonly friend: Mesh
  readonly stranger: Mesh
  folder(): string
}

type Producer = (world: World) => unknown

const cli = async ({ folder }: World, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<unknown> => {
  const { stderr } = await runHere(['p2p', ...args, '--json'], { HOME: folder(), ...environment })
  return JSON.parse(stderr.trim().split('\n').at(-1) ?? '').error
}

const http = async ({ rig }: World, request: string): Promise<unknown> => {
  const { text } = await raw({ path: rig.paths.socketPath }, request)
  return JSON.parse(text.slice(text.indexOf('{'))).error
}

const host = 'Host: synaptic-mesh.local\r\n'
const signer = signerOf('one')
const nowhere = `/ip4/127.0.0.1/tcp/1/p2p/${'12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'}`

/** A database of the stores, closed, for damage. */
async function closedStore(folder: string): Promise<string> {
  await (await openStores(folder)).close()
  return join(folder, 'mesh.db')
}

const entry = (state: 'failed' | 'expired-unknown', failure: string): Parameters<typeof sendReport>[0] => ({
  id: 'a',
  destination: new Uint8Array(32),
  via: 'direct',
  sequence: 1,
  type: 'Thought',
  priority: 5,
  ttlMs: 1,
  digest: new Uint8Array(32),
  state,
  attempts: 1,
  path: '',
  failure,
  settledMs: 1,
  bytes: 1,
  accepted: { bootId: '', monotonic: 0 as never, wall: wallMillis(0) }
})
const to = { peerId: 'p', name: 'p' }

const producers: Readonly<Record<ErrorCode, Producer>> = {
  USAGE: (world) => cli(world, ['nonsense']),
  OPTION_INVALID: () => resolveConfig({ max_peers: 0 }),
  OPTION_UNKNOWN: () => resolveConfig({ max_pears: 1 }),
  CONFIG_MALFORMED: async (world) => {
    const folder = world.folder()
    writeFileSync(join(folder, 'default.toml'), '=', { mode: 0o600 })
    return Daemon.start(parts, pathsIn(folder), {})
  },
  ADDRESS_INVALID: () => resolveConfig({ bootstrap_peers: ['/ip4/bootstrap.node/tcp/1'] }),
  NAME_AMBIGUOUS: () => resolveName('twin', { paired: [], claims: ['a', 'b'].map((peerId) => ({ peerId, name: 'twin', labels: [] })) }),
  NOT_AVAILABLE: () => resolveConfig({ shadow_addresses: true }),
  NODE_TOO_OLD: () => {
    const pretend = `data:text/javascript,${encodeURIComponent("Object.defineProperty(process, 'version', { value: 'v20.20.2' })")}`
    const { stderr } = spawnSync(process.execPath, ['--import', pretend, join(repository, 'bin', 'synaptic-mesh.js'), '--json'], { encoding: 'utf8' })
    return JSON.parse(stderr).error
  },
  NOT_INITIALIZED: (world) => cli(world, ['status']),
  DAEMON_UNREACHABLE: ({ folder }) => new ControlClient(pathsIn(folder())).call('status', {}),
  DAEMON_RUNNING: ({ rig }) => Daemon.start(parts, rig.paths, {}),
  DAEMON_START_FAILED: async (world) => {
    const data = world.folder()
    await prepareProfile(parts, { paths: pathsIn(data), settings: {}, environment: {} })
    return cli({ ...world, folder: () => data }, ['start', '--data-dir', data], { NODE_OPTIONS: '--no-such-flag' })
  },
  LISTEN_FAILED: async (world) => {
    const port = await freePort()
    const taken = createServer().listen(port, '127.0.0.1')
    await once(taken, 'listening')
    world.t.after(() => taken.close())
    const paths = pathsIn(world.folder())
    await prepareProfile(parts, { paths, settings: { http_port: port }, environment: {} })
    return Daemon.start(parts, paths, {})
  },
  ICE_UNAVAILABLE: () => new IceEngine(() => Promise.reject(Object.assign(new Error('no such package'), { code: 'ERR_MODULE_NOT_FOUND' }))).load(),
  ICE_FAILED: () => {
    const run = new IceRunMachine({ peer: 'peer', policy: 'all', nat: { isOpen: false, isSymmetric: false }, scopes: [], tells: [], budgetMs: 0 })
    run.handle({ type: 'gathered' }, millis(0))
    return run.handle({ type: 'wake' }, millis(1)).flatMap((output) => (output.type === 'failed' ? [output.error] : []))[0]
  },
  TURN_NOT_CONFIGURED: () => requiredTurnServers(resolveConfig({}), wallMillis(0)),
  TURN_FAILED: async () => {
    const server = { host: '127.0.0.1', port: await freePort(), username: 'nobody', password: '' }
    return turnFailure([{ server, verdict: await probeTurn(server, AbortSignal.timeout(300)) }])
  },
  PORT_PRIVILEGED: () => {
    // As the kernel answers who has no CAP_NET_BIND_SERVICE.
    const denied = (): Server => {
      const server = createServer()
      server.listen = () => {
        queueMicrotask(() => server.emit('error', Object.assign(new Error('permission denied'), { code: 'EACCES' })))
        return server
      }
      return server
    }
    return freeListenAddresses(['/ip4/127.0.0.1/tcp/443'], { log: () => undefined, createServer: denied })
  },
  SHUTTING_DOWN: async () => {
    const stores = await openMemoryStores()
    await stores.close()
    return stores.meta.get('x')
  },
  KEY_CORRUPT: ({ folder }) => {
    const file = join(folder(), 'identity.key')
    writeFileSync(file, 'no key', { mode: 0o600 })
    return loadIdentity(file)
  },
  PERMISSIONS_UNSAFE: ({ folder }) => {
    const open = folder()
    chmodSync(open, 0o755)
    return ensurePrivateFolder(open)
  },
  PATH_UNSAFE: ({ folder }) => {
    const file = join(folder(), 'file')
    writeFileSync(file, '')
    return ensurePrivateFolder(file)
  },
  PROFILE_NAME_INVALID: () => checkProfileName('../x'),
  STATE_NEWER: async ({ folder }) => {
    const state = folder()
    const database = new DatabaseSync(await closedStore(state))
    database.exec('PRAGMA user_version = 1000')
    database.close()
    return openStores(state)
  },
  STATE_IN_USE: async ({ t, folder }) => {
    const state = folder()
    const stores = await openStores(state)
    t.after(() => stores.close())
    return openStores(state)
  },
  STATE_CORRUPT: async ({ folder }) => {
    const state = folder()
    writeFileSync(await closedStore(state), 'no database', { mode: 0o600 })
    return openStores(state)
  },
  DISK_FULL: () => writeTo('/dev/full'),
  STORE_FAILED: () => {
    throw fileError(Object.assign(new Error('EIO'), { code: 'EIO' }), '/x')
  },
  UNAUTHORIZED: async ({ rig }) => {
    const { text } = await raw({ port: rig.port }, `GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\n\r\n`)
    return JSON.parse(text.slice(text.indexOf('{'))).error
  },
  FORBIDDEN: (world) => http(world, `GET /v1/status HTTP/1.1\r\n${host}Origin: null\r\n\r\n`),
  ROUTE_UNKNOWN: (world) => http(world, `GET /v1/nothing HTTP/1.1\r\n${host}\r\n`),
  BODY_TOO_LARGE: ({ me, friend }) => me.send(friend.peerId, new Uint8Array(1_048_577)),
  NOT_PAIRED: ({ me, stranger }) => me.send(addressOf(stranger), 'x', { delivery: 'volatile' }),
  COMMAND_NOT_ALLOWED: ({ me, stranger }) => me.send(addressOf(stranger), 'x', { type: 'Command' }),
  PEER_UNKNOWN: ({ me }) => me.send('nobody', 'x'),
  MESSAGE_UNKNOWN: ({ me }) => me.inbox.get('nothing'),
  TIMEOUT: ({ rig }) => rig.client.call('message', { destination: 'slow', content: 'x' }, { deadlineMs: 30 }),
  PEER_UNREACHABLE: ({ me }) => me.ping(nowhere, { timeoutMs: 3_000 }),
  NAT_METHOD_FAILED: async ({ me, friend }) => (await me.nat(friend.peerId, { method: 'turn' })).error,
  NOT_STORED_YET: async ({ me, friend }) =>
    outcomeOf(await reportOf(me.send(friend.peerId, 'x', { waitFor: 'accepted' })), { wait: 'stored', volatile: false }),
  ABORTED: ({ rig }) => rig.client.call('status', {}, { signal: AbortSignal.abort() }),
  SIGNATURE_INVALID: () => {
    const bytes = encodeCard(cardOf(signer.publicKey), signer)
    return decodeCard(
      bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte)),
      { network, publicKey: signer.publicKey, verifier }
    )
  },
  IDENTITY_MISMATCH: () => decodeCard(encodeCard(cardOf(signer.publicKey), signer), { network, publicKey: signerOf('two').publicKey, verifier }),
  MESSAGE_MALFORMED: () => decodeEnvelope(Uint8Array.of(0xff)),
  UNSUPPORTED_VERSION: () => {
    const bytes = encodeCard(cardOf(signer.publicKey), signer)
    const at = bytes.findIndex((byte, index) => byte === 1 && (bytes[index - 1] ?? 0) >> 5 === 4 && index > 2)
    return decodeCard(bytes.with(at, 2), { network, publicKey: signer.publicKey, verifier })
  },
  PROTOCOL_LIMIT: () => {
    const reader = new FrameReader({ maxFrameBytes: 100, protocol: 'test' })
    reader.push(Uint8Array.of(0xff, 0xff, 0xff, 0xff))
    return reader.ready
  },
  ID_CONFLICT: async ({ me, friend }) => {
    await me.send(friend.peerId, 'one', { id: 'conflict', waitFor: 'accepted' })
    return me.send(friend.peerId, 'two', { id: 'conflict' })
  },
  QUOTA: async () => {
    await using small = await createTestnet(1, { config: { outboxMaxMessages: 10 } })
    const node = small.node(0)
    for (let index = 0; index < 11; index++) await node.send(nowhere, 'x', { waitFor: 'accepted' })
    return undefined
  },
  EXPIRED: async ({ me }) => (await me.send(nowhere, 'x', { ttlS: 1, timeoutMs: 15_000 })).error,
  EXPIRED_UNKNOWN: () => sendReport(entry('expired-unknown', ''), to).error,
  CANCELLED: async ({ me }) => {
    const { id } = await me.send(nowhere, 'x', { waitFor: 'accepted' })
    return (await me.outbox.cancel(id)).error
  },
  NOT_CANCELLABLE: async ({ me, friend }) => {
    const { id } = await me.send(friend.peerId, 'x', { timeoutMs: 15_000 })
    return me.outbox.cancel(id)
  },
  REFUSED: () => sendReport(entry('failed', 'A_REASON_OF_A_LATER_VERSION'), to).error,
  KEY_INVALID: () => kem(3).encapsulate(new Uint8Array(3)),
  BACKEND_UNSUPPORTED: () => kem(3, 'liboqs').generateKeyPair(new Uint8Array(64)),
  HANDSHAKE_FAILED: () => nodeHandshakeCrypto.generateDh().agree(new Uint8Array(32)),
  DOWNGRADE_DETECTED: () => {
    const offers = [noiseSuites.hybrid3.protocol, noiseSuites.classical.protocol]
    return expectBestSuite({ initiator: offers, responder: offers, actual: noiseSuites.classical, peer: 'a peer' })
  },
  LEVEL_REFUSED: async ({ me }) => {
    await using strict = await createTestnet(1, { config: { quantumResistant: true, mlkemSecurityLevel: 5 } })
    return await me.quantum(addressOf(strict.node(0)), { level: 3 })
  },
  SESSION_AUTH_REFUSED: () => {
    const alice = new End(aliceOptions()).start()
    settle(alice, new End(bobOptions({ requirePqAuth: true })).start())
    return alice.error
  },
  SESSION_UNCONFIRMED: () => {
    const [alice, bob] = [new End(aliceOptions()).start(), new End(bobOptions()).start()]
    bob.receive(alice.take())
    alice.receive(bob.take())
    return alice.input({ type: 'stream-ended' }).error
  },
  SESSION_RECORD_INVALID: () => {
    const { alice, bob } = openPair()
    const records = alice.say('twice').take()
    return bob.receive([...records, ...records]).error
  },
  SESSION_TRUNCATED: () => openPair().bob.input({ type: 'stream-ended' }).error,
  INVITE_INVALID: ({ me }) => me.join('smi1nonsense'),
  INVITE_EXPIRED: ({ me }) => me.join(encodeInvite({ ...invite, expiresAt: wallMillis(1_000) })),
  INVITE_USED: async ({ me, friend, stranger }) => {
    const { invite: text } = await me.invite()
    await friend.join(text)
    return stranger.join(text)
  },
  INVITE_REVOKED: async ({ me, stranger }) => {
    const { invite: text, id } = await me.invite()
    await me.invites.revoke(id)
    return stranger.join(text)
  },
  INVITE_UNKNOWN: ({ me }) => me.invites.revoke('0123456789abcdef'),
  RELAY_REFUSED: async ({ t }) => {
    const limits = {
      open: false,
      allow: [],
      maxReservations: 1,
      maxCircuits: 1,
      maxCircuitsPerPeer: 1,
      circuitBytes: 1,
      circuitSeconds: 1,
      bytesPerSecond: 1
    }
    const relay = await startTestHost({ relay: limits })
    const node = await startTestHost({ listen: [] })
    t.after(() => Promise.all([relay, node].map((each) => each[Symbol.asyncDispose]())))
    return takePlace(node, String(relay.libp2p.getMultiaddrs()[0]))
  },
  ...agentProducers,
  ...circuitProducers,
  ...comfortProducers,
  ...gatewayProducers,
  ...groupProducers,
  ...keyProducers<World>(cli),
  ...trustProducers((code) => sendReport(entry('failed', code), to).error),
  NETWORK_MISMATCH: ({ me }) => me.join(encodeInvite({ ...invite, network: 'elsewhere' })),
  INTERNAL: async ({ rig }) => {
    rig.mesh.status = () => Promise.reject(new TypeError('unforeseen'))
    return rig.client.call('status', {})
  }
}

const invite = {
  network: 'testnet',
  publicKey: signer.publicKey,
  secret: seeded('invite').bytes(16),
  expiresAt: wallMillis(4_000_000_000_000),
  addresses: ['/ip4/127.0.0.1/tcp/1']
}
const parts = {
  version: '0',
  ensureIdentity: identity,
  createMesh: async (_paths: unknown, options: ConstructorParameters<typeof FakeMesh>[0]) => new FakeMesh(options)
}
const addressOf = (mesh: Mesh): string => mesh.addresses()[0] ?? ''
const reportOf = async (sent: Promise<SendReport>): Promise<Parameters<typeof outcomeOf>[0]> => {
  const { to: recipients, error: _, path, group: __, members: ___, ...report } = await sent
  return { ...report, path, to: recipients.map(({ peerId, name }) => ({ peerId, name })), status: 'accepted' }
}

function writeTo(path: string): never {
  try {
    writeFileSync(path, 'x')
  } catch (error) {
    throw fileError(error, path)
  }
  throw new assert.AssertionError({ message: `${path} took what was written` })
}

/** The code of what a producer threw or returned; its text when it is none of ours. */
async function codeOf(producer: Producer, world: World): Promise<string> {
  try {
    const produced: unknown = await producer(world)
    if (typeof produced === 'object' && produced !== null && 'error' in produced && typeof produced.error === 'object') return codeIn(produced.error)
    return codeIn(produced)
  } catch (error) {
    const known = toMeshError(error)
    return known.code === 'INTERNAL' && known !== error ? `a ${String(error)}` : known.code
  }
}

const codeIn = (value: unknown): string =>
  typeof value === 'object' && value !== null && 'code' in value ? String(value.code) : `no error: ${JSON.stringify(value)}`

test('every code of the error table is produced by the code that reports it', async (t) => {
  await using net = await createTestnet(3)
  const [me, friend, stranger] = [net.node(0), net.node(1), net.node(2)]
  await net.pair(me, friend)
  const rig = await startRig(t)
  const folder = (): string => {
    const made = temporaryFolder(t)
    mkdirSync(made, { recursive: true })
    return made
  }
  const world: World = { t, rig, me, friend, stranger, folder }
  for (const code of errorCodes) {
    const started = performance.now()
    assert.equal(await codeOf(producers[code], world), code)
    if (performance.now() - started > 5_000) t.diagnostic(`${code} took ${Math.round(performance.now() - started)} ms`)
  }
})

test('no producer makes the error that it shows', () => {
  for (const file of ['every-error.test.ts', 'circuit-producers.ts', 'key-producers.ts'])
    assert.doesNotMatch(readFileSync(join(import.meta.dirname, file), 'utf8'), new RegExp(`new ${'Mesh'}Error`))
  assert.deepEqual(new Set(Object.keys(producers)), new Set(errorCodes))
})
