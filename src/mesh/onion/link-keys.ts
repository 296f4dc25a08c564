import { MeshError, type Millis, after } from '../../core/base/index.ts'
import type { DialHost } from './link-host.ts'

/** An ephemeral key for links to one guard is used for so long. */
const keyLifeMs = 86_400_000
/** Of guards at one time. */
const maxGuards = 16

export interface LinkKeysOptions {
  readonly start: () => Promise<DialHost>
  readonly now: () => Millis
  /** A host is of no use any more, and no link of its was. */
  readonly onUnused: (stopped: Promise<void>) => void
}

interface GuardKey {
  readonly host: Promise<DialHost>
  readonly until: Millis
}

/** The ephemeral keys that links begin from, each with its libp2p host: one for all links between relays, one for each guard and day. */
export class LinkKeys {
  readonly #options: LinkKeysOptions
  readonly #guards = new Map<string, GuardKey>()
  /** Hosts in use, with the number of their links. */
  readonly #uses = new Map<DialHost, number>()
  #relay: Promise<DialHost> | undefined
  #isStopped = false

  constructor(options: LinkKeysOptions) {
    this.#options = options
  }

  /** Whether a link of the guard may go on being used for new circuits. */
  isFresh(guard: string): boolean {
    return (this.#guards.get(guard)?.until ?? 0) > this.#options.now()
  }

  /** The host for a link, counted until `release`. @param guard - undefined for links between relays */
  async acquire(guard: string | undefined): Promise<DialHost> {
    const host = await (guard === undefined ? this.#forRelays() : this.#forGuard(guard))
    if (this.#isStopped) throw new MeshError('SHUTTING_DOWN')
    this.#uses.set(host, (this.#uses.get(host) ?? 0) + 1)
    return host
  }

  /** One link of it has ended: a host whose time is over goes with its last. */
  async release(host: DialHost): Promise<void> {
    const left = (this.#uses.get(host) ?? 1) - 1
    if (left > 0) this.#uses.set(host, left)
    else this.#uses.delete(host)
    const current = await Promise.allSettled([this.#relay, ...[...this.#guards.values()].map((guard) => guard.host)])
    const isCurrent = current.some((each) => each.status === 'fulfilled' && each.value === host)
    if (!isCurrent && !this.#uses.has(host)) await host.stop()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    const current = await Promise.allSettled([this.#relay, ...[...this.#guards.values()].map((guard) => guard.host)])
    const hosts = new Set([...this.#uses.keys(), ...current.flatMap((each) => (each.status === 'fulfilled' ? (each.value ?? []) : []))])
    await Promise.allSettled([...hosts].map((host) => host.stop()))
  }

  #forRelays(): Promise<DialHost> {
    const host = (this.#relay ??= this.#options.start())
    host.catch(() => {
      this.#relay = undefined
    })
    return host
  }

  #forGuard(guard: string): Promise<DialHost> {
    if (this.isFresh(guard)) return this.#guards.get(guard)?.host ?? this.#options.start()
    this.#retire(guard)
    const [oldest] = this.#guards.keys()
    if (this.#guards.size >= maxGuards && oldest !== undefined) this.#retire(oldest)
    const host = this.#options.start()
    this.#guards.set(guard, { host, until: after(this.#options.now(), keyLifeMs) })
    host.catch(() => this.#guards.delete(guard))
    return host
  }

  #retire(guard: string): void {
    const old = this.#guards.get(guard)
    if (old === undefined) return
    this.#guards.delete(guard)
    this.#options.onUnused(old.host.then((host) => (this.#uses.has(host) ? undefined : host.stop())))
  }
}
