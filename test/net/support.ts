import { randomBytes } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { type Clock, type Random, millis, wallMillis } from '../../src/core/base/index.ts'
import { Paths } from '../../src/mesh/connections.ts'
import { Dialler } from '../../src/mesh/dialler.ts'
import type { LogRecord } from '../../src/mesh/mesh.ts'
import type { Timers } from '../../src/mesh/ports.ts'
import { ProtocolHost, type ProtocolHostOptions, type Refusal } from '../../src/mesh/protocol-host.ts'
import { type HostOptions, type MeshHost, type StartedHost, startHost } from '../../src/node/host.ts'

export const clock: Clock = { monotonic: () => millis(performance.now()), wall: () => wallMillis(Date.now()), bootId: 'test' }
export const random: Random = { bytes: (length) => new Uint8Array(randomBytes(length)) }
export const timers: Timers = {
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  }
}

export interface TestHost extends AsyncDisposable {
  readonly libp2p: MeshHost
  readonly host: ProtocolHost
  readonly connect: Dialler['connect']
  readonly relays: StartedHost['relays']
  readonly relayServer: StartedHost['relayServer']
  readonly seed: Uint8Array
  readonly peerId: string
  readonly logs: LogRecord[]
  readonly refusals: Refusal[]
  readonly handshakeFailures: StartedHost['handshakeFailures']
}

export type TestHostOptions = Partial<HostOptions> & Pick<Partial<ProtocolHostOptions>, 'limits' | 'maxHeldBytes'>

/** A real libp2p node on 127.0.0.1 with a ProtocolHost; ends with `await using`. */
export async function startTestHost(options: TestHostOptions = {}): Promise<TestHost> {
  const logs: LogRecord[] = []
  const refusals: Refusal[] = []
  const seed = options.seed ?? random.bytes(32)
  const { libp2p, handshakeFailures, relays, relayServer } = await startHost({
    network: 'test',
    listen: ['/ip4/127.0.0.1/tcp/0'],
    maxPeers: 300,
    mdns: false,
    agentVersion: 'test',
    inboundConnectionsPerSecond: 1_000,
    gater: { perAddress: 1_000, halfOpenPerAddress: 1_000 },
    log: (record) => logs.push(record),
    ...options,
    seed
  })
  const dialler = new Dialler({ libp2p, port: libp2p.services.dialler, timers })
  const connect = dialler.connect.bind(dialler)
  for (const listen of options.listen ?? [])
    if (listen.endsWith('/p2p-circuit')) await takePlace({ libp2p, relays }, listen.slice(0, -'/p2p-circuit'.length))
  const host = new ProtocolHost({
    libp2p,
    connect,
    paths: new Paths(),
    clock,
    timers,
    log: (record) => logs.push(record),
    onRefused: (refusal) => refusals.push(refusal),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.maxHeldBytes === undefined ? {} : { maxHeldBytes: options.maxHeldBytes })
  })
  const stop = async (): Promise<void> => {
    await libp2p.stop()
  }
  return {
    libp2p,
    host,
    connect,
    relays,
    relayServer,
    seed,
    peerId: libp2p.peerId.toString(),
    logs,
    refusals,
    handshakeFailures,
    [Symbol.asyncDispose]: stop
  }
}

/** Takes a place at the relay with this address. */
export async function takePlace({ libp2p, relays }: Pick<TestHost, 'libp2p' | 'relays'>, address: string): Promise<void> {
  const signal = AbortSignal.timeout(5_000)
  await relays.reserve({ connection: await libp2p.dial(multiaddr(address), { signal }), addresses: [address] }, signal)
}

/** Polls a condition that no event tells; fails after `timeoutMs`. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
