import { ipScope } from '../core/base/ip-scope.ts'
import { dialAddress } from '../core/base/dial-address.ts'
import type { DialOutcome } from '../core/nat/nat-frames.ts'
import type { InternalPort } from './mapping-ports.ts'
import { type MappingState, PortKeeper, type PortKeeperOptions, textOf } from './port-keeper.ts'
import { shortPeerId } from './protocol-host.ts'
import type { Tracker } from './tracker.ts'

export interface AddressKeeperOptions extends Pick<PortKeeperOptions, 'own' | 'mapping' | 'timers' | 'log'> {
  readonly tracker: Tracker
  /** Trusted peers that are connected now (paired, bootstrap, relays), for an address of this IP version the best first. */
  readonly helpers: (family: 4 | 6) => readonly string[]
  /** Has a peer dial an address. */
  readonly dialBack: (peerId: string, address: string, signal: AbortSignal) => Promise<DialOutcome>
  /** The IPv4 address under which STUN servers see this node; undefined while it is not known. */
  readonly publicHost: () => string | undefined
  /** Calls back when a trusted peer is here and it is known what it speaks; the returned function ends that. */
  readonly onHelper: (handler: () => void) => () => void
}

const helpersAsked = 3
/** After an attempt that told nothing of one: two nodes that have just met dial each other at one time, and ask over a connection that is closed again. */
const confirmAgainMs = [5_000, 30_000] as const
const confirmSeldomMs = 600_000
/** After a change several things come at once. */
const settleMs = 500

/** Finds out at which addresses this node is reached from outside: has public ones, among them a port in the router, dialled by one trusted peer each, and only then announces them. */
export class AddressKeeper {
  readonly #options: AddressKeeperOptions
  readonly #stopped = new AbortController()
  readonly #port: PortKeeper
  #cancelConfirm: () => void = () => undefined
  #ignoreHelpers: () => void = () => undefined
  #confirming: Promise<void> | undefined
  #isAgain = false
  /** Attempts since a helper came. */
  #attempts = 0
  /** A helper did not say whether an address answers. */
  #isUntold = false
  /** Something came while addresses were being confirmed. */
  #isMore = false
  /** A port that the router forwards without being asked, as far as it was tried. */
  #forwarded: { readonly internal: InternalPort; readonly external: InternalPort } | undefined
  #lastTried = ''

  constructor(options: AddressKeeperOptions) {
    this.#options = options
    this.#port = new PortKeeper({ ...options, beforeMapped: () => this.#dropForwarded(), onSettled: () => this.#confirmSoon(0) })
  }

  start(): void {
    this.#ignoreHelpers = this.#options.onHelper(() => this.helperCame())
    this.#port.start()
    this.#confirmSoon(settleMs)
  }

  /** Takes the port in the router back, within some seconds. */
  async stop(): Promise<void> {
    this.#ignoreHelpers()
    this.#cancelConfirm()
    this.#stopped.abort()
    await this.#port.stop()
    await this.#confirming
  }

  /** Addresses that the router forwards and that were confirmed, without /p2p. */
  get mapped(): readonly string[] {
    const { state } = this.#port
    return state.state === 'mapped' && state.isConfirmed ? [state.address] : []
  }

  get mapping(): MappingState {
    return this.#port.state
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
    this.#lastTried = ''
    this.#dropForwarded()
    this.#port.networkChanged()
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
    this.#isUntold = false
    let isOneLeft = false
    for (const { address, isVerified } of this.#options.own.list()) {
      if (dialAddress(address)?.scope !== 'public' || (isVerified && !again)) continue
      const isConfirmed = await this.#confirm(address)
      if (this.#stopped.signal.aborted) return
      if (!isConfirmed && isVerified) this.#options.own.doubt(address)
      isOneLeft ||= !isConfirmed
    }
    await this.#tryForwarded()
    if (isOneLeft) this.#confirmSoon((this.#isUntold ? confirmAgainMs[this.#attempts++] : undefined) ?? confirmSeldomMs)
  }

  /** Whether one of a few trusted peers could dial the address. */
  async #confirm(address: string): Promise<boolean> {
    const { own, helpers, dialBack, log } = this.#options
    const asked: string[] = []
    for (const peerId of helpers(address.startsWith('/ip6/') ? 6 : 4).slice(0, helpersAsked)) {
      if (this.#stopped.signal.aborted) return false
      const outcome = await dialBack(peerId, address, this.#stopped.signal).catch(() => 'no-answer' as const)
      asked.push(`${shortPeerId(peerId)}: ${outcome}`)
      this.#isUntold ||= outcome === 'no-answer' || outcome === 'busy'
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
    const internal = this.#port.internalPort()
    const host = publicHost()
    const isSettled = this.mapping.state === 'off' || this.mapping.state === 'none'
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

  /** Somebody is here who may be asked to dial us. */
  helperCame(): void {
    const list = this.#options.own.list()
    const isOneLeft = list.some(({ address, isVerified }) => !isVerified && dialAddress(address)?.scope === 'public')
    const isOneKnown = list.some(({ address, isVerified }) => isVerified && dialAddress(address)?.scope === 'public')
    if (!isOneLeft && isOneKnown) return
    this.#attempts = 0
    this.#confirmSoon(settleMs)
  }
}
