import { ipScope } from '../core/nat/ip-scope.ts'
import { dialAddress } from '../core/nat/dial-address.ts'
import type { DialOutcome } from '../core/nat/nat-frames.ts'
import type { InternalPort, MappedPort, OwnAddressPort, PortMappingPort } from './mapping-ports.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'
import type { Tracker } from './tracker.ts'

export interface AddressKeeperOptions {
  readonly own: OwnAddressPort
  /** undefined: no port is opened in a router. */
  readonly mapping: PortMappingPort | undefined
  readonly timers: Timers
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** Trusted peers that are connected now (paired, bootstrap, relays), for an address of this IP version the best first. */
  readonly helpers: (family: 4 | 6) => readonly string[]
  /** Has a peer dial an address. */
  readonly dialBack: (peerId: string, address: string, signal: AbortSignal) => Promise<DialOutcome>
  /** The IPv4 address under which STUN servers see this node; undefined while it is not known. */
  readonly publicHost: () => string | undefined
  /** Calls back when a trusted peer is here and it is known what it speaks; the returned function ends that. */
  readonly onHelper: (handler: () => void) => () => void
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

const helpersAsked = 3
const confirmAgainMs = 600_000
/** After a change several things come at once. */
const settleMs = 500
const mapBudgetMs = 8_000
const mapAgainMs = [60_000, 300_000, 1_800_000] as const
const leastRenewMs = 30_000
/** Renewals that may fail: they are repeated after 1 and 5 minutes, and half an hour of the port's time is left at the first. */
const failuresBorne = 2

/** Finds out at which addresses this node is reached from outside: opens a port in the router, has public addresses dialled by one trusted peer each, and only then announces them. */
export class AddressKeeper {
  readonly #options: AddressKeeperOptions
  readonly #stopped = new AbortController()
  #mapping: Mapping | undefined
  #mappingState: MappingState = { state: 'off' }
  #mapFailures = 0
  #mapWork: Promise<void> = Promise.resolve()
  #cancelMap: () => void = () => undefined
  #cancelConfirm: () => void = () => undefined
  #ignoreHelpers: () => void = () => undefined
  #confirming: Promise<void> | undefined
  #isAgain = false
  /** Something came while addresses were being confirmed. */
  #isMore = false
  /** A port that the router forwards without being asked, as far as it was tried. */
  #forwarded: { readonly internal: InternalPort; readonly external: InternalPort } | undefined
  #lastTried = ''

  constructor(options: AddressKeeperOptions) {
    this.#options = options
  }

  start(): void {
    this.#ignoreHelpers = this.#options.onHelper(() => this.#helperCame())
    this.#mapSoon(0)
    this.#confirmSoon(settleMs)
  }

  /** Takes the port in the router back, within some seconds. */
  async stop(): Promise<void> {
    this.#ignoreHelpers()
    this.#cancelMap()
    this.#cancelConfirm()
    this.#stopped.abort()
    await this.#mapWork
    await this.#confirming
    await this.#options.mapping?.unmapAll()
  }

  /** Addresses that the router forwards and that were confirmed, without /p2p. */
  get mapped(): readonly string[] {
    const state = this.#mappingState
    return state.state === 'mapped' && state.isConfirmed ? [state.address] : []
  }

  get mapping(): MappingState {
    return this.#mappingState
  }

  /** Something new is known of the network. */
  measured(): void {
    this.#confirmSoon(settleMs)
  }

  /** Addresses at which somebody outside may reach us, the likeliest first: confirmed ones, those that may be, those of the local network. */
  candidates(): readonly string[] {
    const list = this.#options.own.list()
    const rank = ({ address, isVerified }: { readonly address: string; readonly isVerified: boolean }): number => {
      const scope = dialAddress(address)?.scope
      const isWebSocket = address.endsWith('/ws') ? 1 : 0
      return scope === 'public' ? (isVerified ? 0 : 2) + isWebSocket : scope === 'private' ? 4 + isWebSocket : 6
    }
    const usable = list.filter(({ address }) => !['special', 'link-local', undefined].includes(dialAddress(address)?.scope))
    return [...usable].sort((a, b) => rank(a) - rank(b)).map(({ address }) => address)
  }

  /** The machine is in another network: the old port is nobody's now, and no address is sure. */
  networkChanged(): void {
    this.#mapFailures = 0
    this.#lastTried = ''
    this.#dropForwarded()
    this.#mapSoon(settleMs)
    this.#confirmSoon(2 * settleMs, true)
  }

  /** Has every public address that is not announced dialled by trusted peers; with `again`, also those that are. Resolves when that is done. */
  confirmAddresses(again = false): Promise<void> {
    this.#isAgain ||= again
    if (this.#confirming !== undefined) {
      this.#isMore = true
      return this.#confirming
    }
    this.#confirming = this.#confirmAll().finally(() => {
      this.#confirming = undefined
      if (this.#isMore) this.#confirmSoon(0)
      this.#isMore = false
    })
    return this.#confirming
  }

  async #confirmAll(): Promise<void> {
    this.#cancelConfirm()
    const again = this.#isAgain
    this.#isAgain = false
    let isOneLeft = false
    for (const { address, isVerified } of this.#options.own.list()) {
      if (dialAddress(address)?.scope !== 'public' || (isVerified && !again)) continue
      const isConfirmed = await this.#confirm(address)
      if (this.#stopped.signal.aborted) return
      if (!isConfirmed && isVerified) this.#options.own.doubt(address)
      isOneLeft ||= !isConfirmed
    }
    this.#noteMapping()
    await this.#tryForwarded()
    if (isOneLeft) this.#confirmSoon(confirmAgainMs)
  }

  /** Whether one of a few trusted peers could dial the address. */
  async #confirm(address: string): Promise<boolean> {
    const { own, helpers, dialBack, log } = this.#options
    const asked: string[] = []
    for (const peerId of helpers(address.startsWith('/ip6/') ? 6 : 4).slice(0, helpersAsked)) {
      if (this.#stopped.signal.aborted) return false
      const outcome = await dialBack(peerId, address, this.#stopped.signal).catch(() => 'no-answer' as const)
      asked.push(`${shortPeerId(peerId)}: ${outcome}`)
      if (outcome !== 'connected') continue
      own.confirm(address)
      log({ level: 'info', event: 'address.confirmed', fields: { address, by: shortPeerId(peerId) } })
      return true
    }
    if (asked.length > 0) log({ level: 'debug', event: 'address.not-confirmed', fields: { address, asked } })
    return false
  }

  /**
   * Operators forward ports by hand, and clouds give machines public addresses that they do not see: where no port could be mapped, ours is tried once at the
   * address that STUN servers see.
   */
  async #tryForwarded(): Promise<void> {
    const { own, publicHost, helpers } = this.#options
    const internal = this.#internalPort()
    const host = publicHost()
    const isSettled = this.#mappingState.state === 'off' || this.#mappingState.state === 'none'
    if (internal === undefined || host === undefined || !isSettled || ipScope(host) !== 'public' || host.includes(':')) return
    const external = { address: host, port: internal.port }
    const key = `${textOf(internal)} ${textOf(external)}`
    if (key === this.#lastTried || helpers(4).length === 0 || own.list().some(({ address }) => address === textOf(external))) return
    this.#lastTried = key
    this.#forwarded = { internal, external }
    own.addMapping(internal, external)
    if (!(await this.#confirm(textOf(external)))) this.#dropForwarded()
  }

  #dropForwarded(): void {
    if (this.#forwarded !== undefined) this.#options.own.removeMapping(this.#forwarded.internal, this.#forwarded.external)
    this.#forwarded = undefined
  }

  #confirmSoon(delayMs: number, again = false): void {
    this.#cancelConfirm()
    this.#isAgain ||= again
    if (this.#stopped.signal.aborted) return
    this.#cancelConfirm = this.#options.timers.schedule(delayMs, () => this.#options.tracker.track('confirming addresses', this.confirmAddresses()))
  }

  #helperCame(): void {
    const list = this.#options.own.list()
    const isOneLeft = list.some(({ address, isVerified }) => !isVerified && dialAddress(address)?.scope === 'public')
    const isOneKnown = list.some(({ address, isVerified }) => isVerified && dialAddress(address)?.scope === 'public')
    if (isOneLeft || !isOneKnown) this.#confirmSoon(settleMs)
  }

  #mapSoon(delayMs: number): void {
    const { mapping, timers } = this.#options
    this.#cancelMap()
    if (mapping === undefined || this.#stopped.signal.aborted) return
    this.#cancelMap = timers.schedule(delayMs, () => {
      // One at a time, so that stopping waits for the last one.
      this.#mapWork = this.#mapWork.then(() => this.#map(mapping))
    })
  }

  async #map(port: PortMappingPort): Promise<void> {
    if (this.#stopped.signal.aborted) return
    const internal = this.#internalPort()
    if (internal === undefined) return this.#unmapped({ state: 'off' })
    if (this.#mapping === undefined) this.#mappingState = { state: 'searching' }
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(mapBudgetMs)])
    const found = await port.map(internal, signal)
    if (this.#stopped.signal.aborted) return
    if ('reason' in found) return this.#mapFailed(found.reason, internal)
    if (ipScope(found.externalAddress) !== 'public') {
      await port.unmapAll()
      return this.#mapFailed('the router is behind another NAT itself', internal)
    }
    this.#mapFailures = 0
    this.#mappedAs({ internal, external: { address: found.externalAddress, port: found.externalPort }, protocol: found.protocol })
    this.#mapSoon(Math.max(leastRenewMs, found.leaseMs / 2))
  }

  #mapFailed(reason: string, internal: InternalPort): void {
    // A renewal that was lost is no loss yet: the port stays for the other half of its time.
    const isKept = this.#mapping !== undefined && isSamePort(this.#mapping.internal, internal) && this.#mapFailures < failuresBorne
    if (!isKept) this.#unmapped({ state: 'none', reason })
    const delayMs = mapAgainMs[Math.min(this.#mapFailures, mapAgainMs.length - 1)] ?? confirmAgainMs
    this.#mapFailures += 1
    this.#mapSoon(delayMs)
  }

  #mappedAs(mapping: Mapping): void {
    const { own, log } = this.#options
    const before = this.#mapping
    const isSame = before !== undefined && isSamePort(before.internal, mapping.internal) && isSamePort(before.external, mapping.external)
    if (isSame) return
    if (before !== undefined) own.removeMapping(before.internal, before.external)
    this.#dropForwarded()
    this.#mapping = mapping
    own.addMapping(mapping.internal, mapping.external)
    this.#noteMapping()
    log({ level: 'info', event: 'port.mapped', fields: { protocol: mapping.protocol, address: textOf(mapping.external) } })
    this.#confirmSoon(0)
  }

  #unmapped(state: MappingState): void {
    const { own, log } = this.#options
    if (this.#mapping !== undefined) own.removeMapping(this.#mapping.internal, this.#mapping.external)
    this.#mapping = undefined
    this.#mappingState = state
    this.#confirmSoon(settleMs)
    log({ level: 'debug', event: 'port.not-mapped', fields: { ...state } })
  }

  #noteMapping(): void {
    if (this.#mapping === undefined) return
    const address = textOf(this.#mapping.external)
    const isConfirmed = this.#options.own.list().some((each) => each.address === address && each.isVerified)
    this.#mappingState = { state: 'mapped', protocol: this.#mapping.protocol, address, isConfirmed }
  }

  /**
   * The TCP port to forward: on a private IPv4 address, in the router's network if that is known, not the one of WebSocket. Machines have networks of their own
   * besides (containers, virtual machines): where the router is not known, the next one has its turn at the next try.
   */
  #internalPort(): InternalPort | undefined {
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
      ports[this.#mapFailures % Math.max(1, ports.length)]
    )
  }
}

const isSamePort = (a: InternalPort, b: InternalPort): boolean => a.address === b.address && a.port === b.port
const textOf = ({ address, port }: InternalPort): string => `/ip4/${address}/tcp/${port}`
