import { dialAddress } from '../core/base/dial-address.ts'
import { ipScope } from '../core/base/ip-scope.ts'
import type { InternalPort, MappedPort, OwnAddressPort, PortMappingPort } from './mapping-ports.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'

export interface PortKeeperOptions {
  readonly own: OwnAddressPort
  /** undefined: no port is opened in a router. */
  readonly mapping: PortMappingPort | undefined
  readonly timers: Timers
  readonly log: (record: LogRecord) => void
  /** A port is open that is not told to libp2p yet. */
  readonly beforeMapped: () => void
  /** A port was opened, or it is known that there is none. */
  readonly onSettled: () => void
}

/** How it stands with the port in the router. */
export type MappingState =
  /** Not wanted, or of no use: no private IPv4 address is listened on. */
  | { readonly state: 'off' }
  | { readonly state: 'searching' }
  | { readonly state: 'mapped'; readonly protocol: MappedPort['protocol']; readonly address: string; readonly isConfirmed: boolean }
  | { readonly state: 'none'; readonly reason: string }

interface Mapping {
  readonly internal: InternalPort
  readonly external: InternalPort
  readonly protocol: MappedPort['protocol']
}

const mapBudgetMs = 8_000
const mapAgainMs = [60_000, 300_000, 1_800_000] as const
const leastRenewMs = 30_000
/** After a change several things come at once. */
const settleMs = 500
/** Renewals that may fail: they are repeated after 1 and 5 minutes, and half an hour of the port's time is left at the first. */
const failuresBorne = 2

/** Keeps a port open in the router while the node runs: finds the router, renews, moves along to another network, and gives the port back. */
export class PortKeeper {
  readonly #options: PortKeeperOptions
  readonly #stopped = new AbortController()
  #mapping: Mapping | undefined
  /** Without a mapping. */
  #state: Exclude<MappingState, { readonly state: 'mapped' }> = { state: 'off' }
  #failures = 0
  #work: Promise<void> = Promise.resolve()
  #cancel: () => void = () => undefined

  constructor(options: PortKeeperOptions) {
    this.#options = options
  }

  start(): void {
    this.#mapSoon(0)
  }

  /** Gives the port back, within some seconds. */
  async stop(): Promise<void> {
    this.#cancel()
    this.#stopped.abort()
    await this.#work
    await this.#options.mapping?.unmapAll()
  }

  get state(): MappingState {
    if (this.#mapping === undefined) return this.#state
    const address = textOf(this.#mapping.external)
    const isConfirmed = this.#options.own.list().some((each) => each.address === address && each.isVerified)
    return { state: 'mapped', protocol: this.#mapping.protocol, address, isConfirmed }
  }

  /** The machine is in another network: the old port is nobody's now. */
  networkChanged(): void {
    this.#failures = 0
    this.#mapSoon(settleMs)
  }

  /**
   * The TCP port to forward: on a private IPv4 address, in the router's network if that is known, not the one of WebSocket. Machines have networks of their own
   * besides (containers, virtual machines): where the router is not known, the next one has its turn at the next try.
   */
  internalPort(): InternalPort | undefined {
    const { own, mapping } = this.#options
    const ports = own.list().flatMap(({ address }) => {
      const dial = dialAddress(address)
      const isOne = dial?.scope === 'private' && !address.startsWith('/ip6/') && !address.endsWith('/ws')
      return isOne ? [{ address: dial.host, port: dial.port }] : []
    })
    const near = mapping?.nearRouter(ports.map(({ address }) => address))
    const kept = this.#mapping?.internal
    return (
      ports.find((port) => kept !== undefined && isSamePort(port, kept)) ??
      ports.find(({ address }) => address === near) ??
      ports[this.#failures % Math.max(1, ports.length)]
    )
  }

  #mapSoon(delayMs: number): void {
    const { mapping, timers } = this.#options
    this.#cancel()
    if (mapping === undefined || this.#stopped.signal.aborted) return
    this.#cancel = timers.schedule(delayMs, () => {
      // One at a time, so that stopping waits for the last one.
      this.#work = this.#work.then(() => this.#map(mapping))
    })
  }

  async #map(port: PortMappingPort): Promise<void> {
    if (this.#stopped.signal.aborted) return
    const internal = this.internalPort()
    if (internal === undefined) return this.#unmapped({ state: 'off' })
    if (this.#mapping === undefined) this.#state = { state: 'searching' }
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(mapBudgetMs)])
    const found = await port.map(internal, signal).catch((error: unknown) => ({ reason: error instanceof Error ? error.message : String(error) }))
    if (this.#stopped.signal.aborted) return
    if ('reason' in found) return this.#mapFailed(found.reason, internal)
    const external = { address: found.externalAddress, port: found.externalPort }
    if (dialAddress(textOf(external))?.scope !== 'public') {
      await port.unmapAll()
      const isNested = ipScope(external.address) !== 'public'
      return this.#mapFailed(isNested ? 'the router is behind another NAT itself' : 'the router names no IPv4 address and port', internal)
    }
    this.#failures = 0
    this.#mappedAs({ internal, external, protocol: found.protocol })
    this.#mapSoon(Math.max(leastRenewMs, found.leaseMs / 2))
  }

  #mapFailed(reason: string, internal: InternalPort): void {
    // A renewal that was lost is no loss yet: the port stays for the other half of its time.
    const isKept = this.#mapping !== undefined && isSamePort(this.#mapping.internal, internal) && this.#failures < failuresBorne
    if (!isKept) this.#unmapped({ state: 'none', reason })
    const delayMs = mapAgainMs[Math.min(this.#failures, mapAgainMs.length - 1)] ?? leastRenewMs
    this.#failures += 1
    this.#mapSoon(delayMs)
  }

  #mappedAs(mapping: Mapping): void {
    const { own, log } = this.#options
    const before = this.#mapping
    const isSame = before !== undefined && isSamePort(before.internal, mapping.internal) && isSamePort(before.external, mapping.external)
    if (isSame) return
    if (before !== undefined) own.removeMapping(before.internal, before.external)
    this.#options.beforeMapped()
    this.#mapping = mapping
    own.addMapping(mapping.internal, mapping.external)
    log({ level: 'info', event: 'port.mapped', fields: { protocol: mapping.protocol, address: textOf(mapping.external) } })
    this.#options.onSettled()
  }

  #unmapped(state: Exclude<MappingState, { readonly state: 'mapped' }>): void {
    const { own, log } = this.#options
    if (this.#mapping !== undefined) own.removeMapping(this.#mapping.internal, this.#mapping.external)
    this.#mapping = undefined
    this.#state = state
    this.#options.onSettled()
    log({ level: 'debug', event: 'port.not-mapped', fields: { ...state } })
  }
}

const isSamePort = (a: InternalPort, b: InternalPort): boolean => a.address === b.address && a.port === b.port
export const textOf = ({ address, port }: InternalPort): string => `/ip4/${address}/tcp/${port}`
