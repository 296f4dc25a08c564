import type { TestContext } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { IceService, type IceServiceOptions } from '../../src/mesh/ice/ice-service.ts'
import { Paths } from '../../src/mesh/connections.ts'
import { IceEngine } from '../../src/node/ice-engine.ts'
import type { Relay } from './relay-support.ts'
import { clock, startTestHost, type TestHost, type TestHostOptions, timers } from './support.ts'

export interface IceNode {
  readonly host: TestHost
  readonly ice: IceService
  readonly engine: IceEngine
  readonly paths: Paths
}

export interface IceNodeOptions {
  readonly host?: TestHostOptions
  readonly ice?: Partial<IceServiceOptions>
  readonly engine?: IceEngine
}

/** A node that is reached over the relay only, with ICE on 127.0.0.1. */
export async function startIceNode(t: TestContext, relay: Relay, options: IceNodeOptions = {}): Promise<IceNode> {
  const listenAddrs = [relay.listen]
  const host = await startTestHost({ listen: [], ...options.host })
  const address = multiaddr(relay.address)
  await host.relays.reserve({ connection: await host.libp2p.dial(address), addresses: [relay.address] }, AbortSignal.timeout(5_000))
  const engine = options.engine ?? new IceEngine()
  const paths = new Paths()
  const ice = new IceService({
    libp2p: host.libp2p,
    upgrader: host.libp2p.services.dialler.upgrader,
    host: host.host,
    platform: { clock, timers },
    port: engine,
    options: { listenAddrs, turnServers: [], turnUsername: '', turnPassword: '', turnSecret: '' },
    stunServers: () => [],
    isPaired: () => true,
    isReachable: () => false,
    paths,
    log: (record) => host.logs.push(record),
    ...options.ice
  })
  await ice.start()
  t.after(async () => {
    ice.stop()
    await host[Symbol.asyncDispose]()
    engine.stop()
  })
  return { host, ice, engine, paths }
}

/** Connects the first with the second over the relay. */
export async function relayed(a: IceNode, b: IceNode): Promise<void> {
  const [address] = b.host.libp2p.getMultiaddrs()
  if (address === undefined) throw new Error('it has no place at the relay')
  await a.host.libp2p.dial(address)
}
