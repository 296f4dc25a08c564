import { type MeshError, version } from '../core/base/index.ts'
import { type MeshOptions, resolveConfig } from '../core/options/index.ts'
import { ed25519KeyBytes } from '../crypto/index.ts'
import type { LogRecord, Mesh } from '../mesh/mesh.ts'
import { MeshNode } from '../mesh/mesh-node.ts'
import { maxAcceptedLinks } from '../mesh/onion/cell-links.ts'
import type { OnionLimits } from '../mesh/onion/onion-limits.ts'
import type { LimitChanges } from '../mesh/protocol-table.ts'
import { type HostOptions, type StartedHost, startHost } from './host.ts'
import { dhtPort, gossipPort, mdnsPort } from './host-ports.ts'
import { ensureIdentity, ephemeralIdentity, type Identity } from './identity.ts'
import { natPlatform } from './nat-platform.ts'
import { onionPlatform } from './onion-platform.ts'
import { createPlatform } from './platform.ts'
import { openPqKeys } from './pq-keys.ts'
import type { RelayServerLimits } from './relay-server.ts'
import { withStunServer } from './relay-stun.ts'
import { openMemoryStores, openStores, type Stores, type StoreWatch } from './sqlite/stores.ts'
import { join } from 'node:path'

/** Every option of docs/options.md, in camelCase or snake_case; what is left out has its default. */
export type MeshConfig = { readonly [Key in keyof MeshOptions]?: MeshOptions[Key] } & Readonly<Record<string, unknown>>

/** Where a node keeps its state, and who listens to it from the first moment. */
export interface MeshSetup {
  /** A private folder (0700, made when it is missing) for identity and messages. Left out: everything lives in memory and nothing survives the process. */
  readonly stateFolder?: string
  /** The file of the identity; `identity.key` in `stateFolder` by default. */
  readonly identityFile?: string
  readonly onLog?: (record: LogRecord) => void
  /** Tighter or wider limits, for tests. */
  readonly protocolLimits?: LimitChanges
  readonly onionLimits?: OnionLimits
  readonly hostLimits?: Pick<HostOptions, 'gater' | 'inboundConnectionsPerSecond'> & { readonly relayStallMs?: number }
}

/**
 * Starts a mesh node. Stop it with `stop()` or `await using`.
 * @throws {MeshError} OPTION_UNKNOWN, OPTION_INVALID, ADDRESS_INVALID, NOT_AVAILABLE, KEY_CORRUPT, PASSPHRASE_NEEDED, PASSPHRASE_WRONG, PERMISSIONS_UNSAFE, STATE_NEWER, STATE_IN_USE, LISTEN_FAILED …
 */
export async function createMesh(config: MeshConfig = {}, setup: MeshSetup = {}): Promise<Mesh> {
  const options = resolveConfig(config)
  const log = setup.onLog ?? ((): void => undefined)
  const identity = await openIdentity(setup, options.passphraseFile)
  const stores = await open(setup, log)
  try {
    return await start({ options, setup, log, identity, stores })
  } catch (error) {
    await stores.close()
    throw error
  }
}

interface Parts {
  readonly options: MeshOptions
  readonly setup: MeshSetup
  readonly log: (record: LogRecord) => void
  readonly identity: Identity
  readonly stores: Stores
}

async function start({ options, setup, log, identity, stores }: Parts): Promise<Mesh> {
  const host = await openHost({ options, setup, log, identity, stores })
  const { libp2p, traffic, handshakeFailures, memory, denyPeers, stop } = host
  try {
    const pqKeys = await openPqKeys(stores.datastore, ({ code, message }) => log({ level: 'warn', event: code, fields: { reason: message } }))
    const platform = createPlatform({ identity, network: options.network, stores, pqKeys })
    const nat = natPlatform(host, stores.datastore)
    const release = async (): Promise<void> => {
      nat.stop()
      await stop()
      await stores.close()
    }
    const versions = { 'synaptic-mesh': version, node: process.versions.node, sqlite: process.versions['sqlite'] ?? '' }
    const { protocolLimits, onionLimits } = setup
    const limits = { ...(protocolLimits === undefined ? {} : { protocolLimits }), ...(onionLimits === undefined ? {} : { onionLimits }) }
    return await MeshNode.start({
      libp2p,
      traffic,
      handshakeFailures,
      denyPeers,
      forgetPeer: ({ peerId, publicKey }) => [
        ...(memory.forget(peerId) ? ['levels' as const] : []),
        ...(pqKeys.forget(publicKey) ? ['ml-dsa-65' as const] : [])
      ],
      gossip: gossipPort(libp2p),
      mdns: mdnsPort(libp2p),
      dht: dhtPort(libp2p),
      platform,
      nat: nat.ports,
      upkeep: stores,
      onion: await onionPlatform(stores.datastore, log),
      options,
      versions,
      log,
      release,
      residentBytes: () => process.memoryUsage.rss(),
      ...limits
    })
  } catch (error) {
    await stop()
    throw error
  }
}

async function openHost({ options, setup, log, identity, stores }: Parts): Promise<StartedHost> {
  const host = await startHost({
    seed: identity.libp2pKey.raw.subarray(0, ed25519KeyBytes),
    network: options.network,
    listen: options.listenAddrs,
    maxPeers: options.maxPeers,
    mdns: options.mdns,
    quantum: options.quantumResistant ? 'require' : 'prefer',
    datastore: stores.datastore,
    log,
    agentVersion: version,
    announce: options.announceAddrs,
    ...(options.relayServe ? { relay: relayLimits(options, setup) } : {}),
    ...(options.onionRouting ? { maxLinks: maxAcceptedLinks } : {}),
    ...setup.hostLimits
  })
  return withStunServer(host, options)
}

function relayLimits(options: MeshOptions, { hostLimits }: MeshSetup): RelayServerLimits {
  return {
    open: options.relayOpen,
    allow: options.relayAllow,
    maxReservations: options.relayMaxReservations,
    maxCircuits: options.relayMaxCircuits,
    maxCircuitsPerPeer: options.relayMaxCircuitsPerPeer,
    circuitBytes: options.relayCircuitBytes,
    circuitSeconds: options.relayCircuitSeconds,
    bytesPerSecond: options.relayBytesPerSecond,
    ...(hostLimits?.relayStallMs === undefined ? {} : { stallMs: hostLimits.relayStallMs })
  }
}

function openIdentity({ stateFolder, identityFile }: MeshSetup, passphraseFile: string): Promise<Identity> {
  const file = identityFile ?? (stateFolder === undefined ? undefined : join(stateFolder, 'identity.key'))
  return file === undefined ? ephemeralIdentity() : ensureIdentity(file, passphraseFile).then(({ identity }) => identity)
}

function open({ stateFolder }: MeshSetup, log: (record: LogRecord) => void): Promise<Stores> {
  const watch: StoreWatch = {
    onFinding: (finding) => log({ level: 'error', event: 'STATE_CORRUPT', fields: { ...finding } }),
    onFailure: (error: MeshError) => log({ level: 'error', event: error.code, fields: { reason: error.message } })
  }
  return stateFolder === undefined ? openMemoryStores(watch) : openStores(stateFolder, watch)
}
