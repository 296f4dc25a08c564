import type { Clock } from '../core/base/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import { startDeadline, within } from './deadline.ts'
import type { IceService } from './ice/ice-service.ts'
import type { CallOptions, RelayInfo } from './mesh.ts'
import type { NetworkWatchPort } from './nat-ports.ts'
import { type NetcheckRelay, type NetcheckReport, netcheckReport } from './netcheck-report.ts'
import type { OwnNetwork } from './own-network.ts'
import type { PeerBook } from './peer-book.ts'
import type { Timers } from './ports.ts'
import type { Reachability } from './reachability.ts'

export interface NetcheckParts {
  readonly options: MeshOptions
  readonly clock: Clock
  readonly timers: Timers
  readonly book: Pick<PeerBook, 'referenceOf'>
  readonly reach: {
    readonly network: Pick<OwnNetwork, 'measure'>
    readonly reachability: Pick<Reachability, 'mapping' | 'confirmed'>
    readonly ice: Pick<IceService, 'unavailable' | 'turnTrouble'>
  }
  readonly watch: Pick<NetworkWatchPort, 'addresses'>
  readonly relays: readonly RelayInfo[]
  readonly ping: (peerId: string, options: CallOptions & { readonly count: number }) => Promise<readonly number[]>
}

const defaultTimeoutMs = 10_000
const pings = 3
const pingMs = 2_000

/** See Mesh.netcheck: asks the STUN servers and pings the relays at one time. @throws {MeshError} TIMEOUT, ABORTED */
export async function callNetcheck(parts: NetcheckParts, { timeoutMs = defaultTimeoutMs, signal }: CallOptions): Promise<NetcheckReport> {
  const { options, clock, timers, reach, watch, relays } = parts
  const startedAt = clock.monotonic()
  using deadline = startDeadline(timers, { operation: 'The look at the network', timeoutMs, signal })
  const { network, ice } = reach
  const seen = Promise.all([
    network.measure(),
    ice.turnTrouble(deadline.signal),
    Promise.all(relays.map((relay) => measuredRelay(parts, relay, deadline.signal)))
  ])
  const [probe, turnTrouble, measured] = await within(deadline, seen)
  const { mapping, confirmed } = reach.reachability
  const facts = {
    probe,
    interfaces: watch.addresses(),
    options,
    confirmed,
    portMapping: mapping,
    relays: measured,
    iceUnavailable: reach.ice.unavailable,
    turnServers: options.turnServers.length,
    turnTrouble
  }
  return netcheckReport(facts, clock.monotonic() - startedAt)
}

async function measuredRelay({ book, ping }: NetcheckParts, relay: RelayInfo, signal: AbortSignal): Promise<NetcheckRelay> {
  const { name } = book.referenceOf(relay.peerId)
  const times = await ping(relay.peerId, { count: pings, timeoutMs: pingMs, signal }).catch((): readonly number[] => [])
  return { ...relay, name, latencyMs: times.length === 0 ? undefined : Math.min(...times) }
}
