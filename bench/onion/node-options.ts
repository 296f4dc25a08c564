import { version } from '../../src/core/base/index.ts'
import { type MeshOptions, resolveConfig } from '../../src/core/options/index.ts'
import { ed25519KeyBytes } from '../../src/crypto/index.ts'
import type { MeshNodeOptions } from '../../src/mesh/mesh-node-options.ts'
import type { LinkHosts } from '../../src/mesh/onion/link-host.ts'
import type { LimitChanges } from '../../src/mesh/protocol-table.ts'
import { startHost } from '../../src/node/host.ts'
import { dhtPort, gossipPort, mdnsPort } from '../../src/node/host-ports.ts'
import { ephemeralIdentity } from '../../src/node/identity.ts'
import { natPlatform } from '../../src/node/nat-platform.ts'
import { onionPlatform } from '../../src/node/onion-platform.ts'
import { createPlatform } from '../../src/node/platform.ts'
import { openPqKeys } from '../../src/node/pq-keys.ts'
import { openMemoryStores, openStores } from '../../src/node/sqlite/stores.ts'

export interface NodeSetup {
  readonly config: Readonly<Record<string, unknown>>
  /** Keeps its messages on disk, as nodes do; in memory otherwise. */
  readonly stateFolder: string | undefined
  /** What is between the node and its links of circuits. */
  readonly wrap: (hosts: LinkHosts) => LinkHosts
}

/** All nodes of a bench call from one address, and no rate is to shape what is measured. */
const hostLimits = { inboundConnectionsPerSecond: 1_000, gater: { perAddress: 10_000, halfOpenPerAddress: 10_000 } } as const
const fast = 1_000_000
const protocolLimits: LimitChanges = { message: { framesPerSecond: fast }, pqs: { framesPerSecond: fast }, onion: { framesPerSecond: fast } }
const quiet = (): void => undefined

/** What a node is made of, as createMesh makes it, but for what is between it and its links. */
export async function nodeOptions({ config, stateFolder, wrap }: NodeSetup): Promise<MeshNodeOptions> {
  const options: MeshOptions = resolveConfig({ network: 'bench', listenAddrs: ['/ip4/127.0.0.1/tcp/0'], mdns: false, ...config })
  const watch = { onFinding: quiet, onFailure: quiet }
  const [identity, stores] = await Promise.all([
    ephemeralIdentity(),
    stateFolder === undefined ? openMemoryStores(watch) : openStores(stateFolder, watch)
  ])
  const host = await startHost({
    ...{ network: options.network, listen: options.listenAddrs, maxPeers: options.maxPeers, mdns: false, datastore: stores.datastore },
    ...{
      seed: identity.libp2pKey.raw.subarray(0, ed25519KeyBytes),
      quantum: 'require',
      log: quiet,
      agentVersion: version,
      maxLinks: 512,
      ...hostLimits
    }
  })
  const { libp2p, traffic, handshakeFailures, denyPeers } = host
  const nat = natPlatform(host, stores.datastore)
  const onion = await onionPlatform(stores.datastore, quiet)
  return {
    ...{ libp2p, traffic, handshakeFailures, denyPeers, options, protocolLimits, log: quiet, versions: {}, forgetPeer: () => [] },
    ...{ gossip: gossipPort(libp2p), mdns: mdnsPort(libp2p), dht: dhtPort(libp2p), nat: nat.ports },
    onion: { ...onion, hosts: wrap(onion.hosts) },
    platform: createPlatform({ identity, network: options.network, stores, pqKeys: await openPqKeys(stores.datastore, quiet) }),
    upkeep: stores,
    residentBytes: () => process.memoryUsage.rss(),
    release: async () => {
      nat.stop()
      await host.stop()
      await stores.close()
    }
  }
}
