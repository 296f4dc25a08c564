import type { TestContext } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { isRelayed, Paths } from '../../src/mesh/connections.ts'
import { IceService, type IceServiceOptions } from '../../src/mesh/ice/ice-service.ts'
import { IceEngine } from '../../src/node/ice-engine.ts'
import type { Relay } from './relay-support.ts'
import { clock, startTestHost, type TestHost, type TestHostOptions, timers, until } from './support.ts'

export interface IceNode {
  readonly host: TestHost
  readonly ice: IceService
  readonly paths: Paths
}

export interface IceNodeOptions {
  readonly host?: TestHostOptions
  readonly ice?: Partial<IceServiceOptions>
  readonly engine?: IceEngine
  /** Does not serve the protocol. */
  readonly silent?: boolean
}

/** Listens nowhere but at the relay; no server of any kind. */
export const noTurn = { listenAddrs: [], turnServers: [], turnUsername: '', turnPassword: '', turnSecret: '' } as const

/** A node that is reached over the relay only, with ICE on 127.0.0.1. */
export async function runIceNode(relay: Relay, options: IceNodeOptions = {}): Promise<{ readonly node: IceNode; stop(): Promise<void> }> {
  const host = await startTestHost({ listen: [], ...options.host })
  const connection = await host.libp2p.dial(multiaddr(relay.address))
  await host.relays.reserve({ connection, addresses: [relay.address] }, AbortSignal.timeout(5_000))
  const engine = options.engine ?? new IceEngine()
  const paths = new Paths()
  const ice = new IceService({
    libp2p: host.libp2p,
    upgrader: host.libp2p.services.dialler.upgrader,
    host: host.host,
    platform: { clock, timers },
    port: engine,
    options: noTurn,
    stunServers: () => [],
    isPaired: () => true,
    facts: () => undefined,
    paths,
    log: (record) => host.logs.push(record),
    ...options.ice
  })
  if (options.silent !== true) await ice.start()
  const stop = async (): Promise<void> => {
    ice.stop()
    await host[Symbol.asyncDispose]()
    engine.stop()
  }
  return { node: { host, ice, paths }, stop }
}

/** The same for a test. */
export async function startIceNode(t: TestContext, relay: Relay, options: IceNodeOptions = {}): Promise<IceNode> {
  const { node, stop } = await runIceNode(relay, options)
  t.after(stop)
  return node
}

/** Connects the first with the second over the relay. */
export async function relayed(a: IceNode, b: IceNode): Promise<void> {
  const [address] = b.host.libp2p.getMultiaddrs()
  if (address === undefined) throw new Error('it has no place at the relay')
  await a.host.libp2p.dial(address)
  await until(() => b.host.libp2p.getConnections(a.host.libp2p.peerId).length > 0, 'the other side has the connection, too')
}

/** Connections from one to the other that no relay forwards. */
export const directTo = (from: IceNode, to: IceNode): readonly Connection[] =>
  from.host.libp2p.getConnections(to.host.libp2p.peerId).filter((connection) => !isRelayed(connection))
