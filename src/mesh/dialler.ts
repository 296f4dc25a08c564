import type { AbortOptions, Connection, Libp2p, PeerId } from '@libp2p/interface'
import { isLoopback, isPrivate } from '@libp2p/utils'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { isCircuit, isRelayed, usableConnection } from './connections.ts'
import type { DialPort } from './nat-ports.ts'
import type { Timers } from './ports.ts'

export interface DiallerOptions {
  readonly libp2p: Libp2p
  readonly port: DialPort
  readonly timers: Timers
}

export interface ConnectOptions extends AbortOptions {
  /** Bytes that a relayed connection must have left, default 16,384. */
  readonly least?: bigint
  /** Only these addresses; otherwise what libp2p knows of the peer, or can find out. */
  readonly addresses?: readonly Multiaddr[]
  /** Makes a connection although there is one. */
  readonly force?: boolean
}

/** From the start of one direct attempt to that of the next (RFC 8305 section 5 recommends 250 ms). */
const directStaggerMs = 150
const directBudgetMs = 6_000
/** A direct attempt may go on so long after a relay has answered. */
const afterRelayMs = 3_000
/** What a peer in the same network needs to answer: so long no relay is troubled. */
const relayHeadStartMs = 50
/** From the first relayed attempt to the next: another relay, or the same one by WebSocket. */
const relayStaggerMs = 500
const relayBudgetMs = 5_000
const maxDirect = 8
const maxRelayed = 4
const lookUpMs = 8_000
const maxAttempts = 64
/** With the first attempts of each peer, direct and relayed: the many addresses of some keep nobody else waiting. */
const maxWithFirst = 128

interface Attempt {
  readonly address: Multiaddr
  readonly startMs: number
  readonly budgetMs: number
}

/**
 * Connects to peers over all that is known of them side by side (RFC 8305, happy eyeballs): direct addresses from the start, relays right after.
 * The first connection is handed out; when that is a relayed one, the direct attempts go on for a while, and `connection:open` tells when one succeeds.
 * libp2p itself tries addresses one after the other, 6 s each.
 */
export class Dialler {
  readonly #options: DiallerOptions
  readonly #pending = new Map<string, Promise<Connection>>()
  readonly #stopped = new AbortController()
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(options: DiallerOptions) {
    this.#options = options
  }

  stop(): void {
    this.#stopped.abort()
  }

  /** The connection to open a stream on: what there is, a direct one first, or a new one. @throws AggregateError or Error of libp2p when no address answers */
  async connect(peer: PeerId, options: ConnectOptions = {}): Promise<Connection> {
    const open = options.force === true ? undefined : usableConnection(this.#options.libp2p.getConnections(peer), options.least)
    if (open !== undefined) return open
    const { signal, addresses } = options
    signal?.throwIfAborted()
    const key = peer.toString()
    const running = this.#pending.get(key)
    const begin = (): Promise<Connection> => this.#begin(key, this.#dial(peer, addresses))
    // Two dials at one time would make two connections. Other addresses have their turn when those of the first dial do not answer.
    const dial = running === undefined ? begin() : addresses === undefined ? running : running.catch(() => this.#pending.get(key) ?? begin())
    return signal === undefined ? dial : raceSignal(dial, signal)
  }

  #begin(key: string, dial: Promise<Connection>): Promise<Connection> {
    const pending = dial.finally(() => {
      if (this.#pending.get(key) === pending) this.#pending.delete(key)
    })
    this.#pending.set(key, pending)
    return pending
  }

  /** A connection to exactly this address, whatever connections there are. */
  async dialAddress(address: Multiaddr, signal: AbortSignal): Promise<Connection> {
    return this.#attempt({ address, startMs: 0, budgetMs: directBudgetMs }, AbortSignal.any([signal, this.#stopped.signal]))
  }

  /** A direct connection, whatever connections there are; one that is open already is the answer. @throws as connect */
  async dialDirect(peer: PeerId, signal: AbortSignal): Promise<Connection> {
    const open = this.#options.libp2p.getConnections(peer).find((connection) => connection.status === 'open' && !isRelayed(connection))
    if (open !== undefined) return open
    const { direct } = await this.addressesOf(peer)
    if (direct.length === 0) throw new Error('no address of it is known')
    return this.#race(plan(direct, []), signal)
  }

  /** What libp2p knows of where the peer is: direct addresses, and those at relays, the best first. */
  async addressesOf(peer: PeerId): Promise<{ readonly direct: readonly Multiaddr[]; readonly relayed: readonly Multiaddr[] }> {
    const known = await this.#options.libp2p.peerStore.get(peer).catch(() => undefined)
    return split(peer, known?.addresses.map(({ multiaddr: address }) => address) ?? [])
  }

  async #dial(peer: PeerId, addresses: readonly Multiaddr[] | undefined): Promise<Connection> {
    let { direct, relayed } = addresses === undefined ? await this.addressesOf(peer) : split(peer, addresses)
    if (direct.length + relayed.length === 0) ({ direct, relayed } = await this.#lookUp(peer))
    const attempts = plan(direct, relayed)
    if (attempts.length === 0) throw new Error('no address of it is known')
    return this.#race(attempts)
  }

  async #lookUp(peer: PeerId): Promise<{ readonly direct: readonly Multiaddr[]; readonly relayed: readonly Multiaddr[] }> {
    const { libp2p } = this.#options
    const signal = AbortSignal.any([AbortSignal.timeout(lookUpMs), this.#stopped.signal])
    const found = await libp2p.peerRouting.findPeer(peer, { signal })
    await libp2p.peerStore.merge(peer, { multiaddrs: found.multiaddrs })
    return split(peer, found.multiaddrs)
  }

  /** Resolves with the first connection; rejects with every reason when all attempts have failed. */
  #race(attempts: readonly Attempt[], signal?: AbortSignal): Promise<Connection> {
    const all = new AbortController()
    const relays = new AbortController()
    const stop = AbortSignal.any([all.signal, this.#stopped.signal, ...(signal === undefined ? [] : [signal])])
    const failed = new EarlyStart(this.#options.timers, stop)
    const first = Promise.any(
      attempts.map(async (attempt) => {
        const ends = isCircuit(attempt.address) ? AbortSignal.any([stop, relays.signal]) : stop
        await failed.wait(attempt)
        try {
          const connection = await this.#attempt(attempt, ends)
          if (isRelayed(connection)) relays.abort()
          else all.abort()
          return connection
        } catch (error) {
          failed.next(isCircuit(attempt.address))
          throw error
        }
      })
    )
    void first.then(
      (connection) => {
        if (isRelayed(connection)) this.#options.timers.schedule(afterRelayMs, () => all.abort())
      },
      () => undefined
    )
    return first.catch((error: unknown) => {
      const [only, second]: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
      throw second === undefined ? only : error
    })
  }

  async #enter(isFirst: boolean): Promise<void> {
    const most = isFirst ? maxWithFirst : maxAttempts
    while (this.#running >= most)
      await new Promise<void>((resolve) => {
        if (isFirst) this.#waiting.unshift(resolve)
        else this.#waiting.push(resolve)
      })
    this.#running += 1
  }

  async #attempt({ address, startMs, budgetMs }: Attempt, signal: AbortSignal): Promise<Connection> {
    await this.#enter(startMs <= relayHeadStartMs)
    // libp2p ends a connection whose signal aborts, even long after the dial: what we give it is let go of when the dial is done.
    const own = new AbortController()
    const abort = (): void => own.abort(new Error(signal.aborted ? 'another address answered first' : `no answer within ${budgetMs / 1_000} s`))
    const cancelTimer = this.#options.timers.schedule(budgetMs, abort)
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      return await this.#options.port.dial(address, { signal: own.signal })
    } finally {
      cancelTimer()
      signal.removeEventListener('abort', abort)
      this.#running -= 1
      this.#waiting.shift()?.()
    }
  }
}

/** Starts attempts at their times, and the next of a kind at once when one has failed. */
class EarlyStart {
  readonly #timers: Timers
  readonly #signal: AbortSignal
  readonly #sleeping: { readonly isCircuit: boolean; readonly wake: () => void }[] = []

  constructor(timers: Timers, signal: AbortSignal) {
    this.#timers = timers
    this.#signal = signal
  }

  wait({ address, startMs }: Attempt): Promise<void> {
    if (startMs === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const sleeper = { isCircuit: isCircuit(address), wake: resolve }
      this.#sleeping.push(sleeper)
      this.#timers.schedule(startMs, resolve)
      this.#signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  next(isRelay: boolean): void {
    // With no direct attempt left there is nothing that a relay should wait for.
    const index = this.#sleeping.findIndex((sleeper) => sleeper.isCircuit === isRelay)
    const [sleeper] = index === -1 ? this.#sleeping.splice(0, 1) : this.#sleeping.splice(index, 1)
    sleeper?.wake()
  }
}

function plan(direct: readonly Multiaddr[], relayed: readonly Multiaddr[]): readonly Attempt[] {
  const relayStartMs = direct.length === 0 ? 0 : relayHeadStartMs
  return [
    ...direct.slice(0, maxDirect).map((address, index) => ({ address, startMs: index * directStaggerMs, budgetMs: directBudgetMs })),
    ...relayed.slice(0, maxRelayed).map((address, index) => ({ address, startMs: relayStartMs + index * relayStaggerMs, budgetMs: relayBudgetMs }))
  ]
}

/** Direct and relayed addresses, each with the peer's id, the likeliest first: the own network, then public ones; TCP before WebSocket, relays in turn. */
function split(peer: PeerId, addresses: readonly Multiaddr[]): { readonly direct: readonly Multiaddr[]; readonly relayed: readonly Multiaddr[] } {
  const suffix = `/p2p/${peer.toString()}`
  const complete = [...new Set(addresses.map((address) => completed(address.toString(), suffix)))].map((text) => multiaddr(text))
  const direct = complete.filter((address) => !isCircuit(address)).sort((a, b) => rankDirect(a) - rankDirect(b))
  // Of a peer that has other addresses, those are somebody else's here: ours, most likely.
  const elsewhere = direct.filter((address) => !isLoopback(address))
  return {
    direct: elsewhere.length === 0 ? direct : elsewhere,
    relayed: inTurn(complete.filter(isCircuit))
  }
}

const completed = (text: string, suffix: string): string => (text.endsWith(suffix) ? text : `${text}${suffix}`)

function rankDirect(address: Multiaddr): number {
  const text = address.toString()
  const host = isPrivate(address) ? 0 : 2
  return host + (/\/wss?(\/|$)/.test(text) ? 1 : 0)
}

/** TCP before WebSocket, and after one relay another one. */
function inTurn(addresses: readonly Multiaddr[]): readonly Multiaddr[] {
  const byRelay = new Map<string, Multiaddr[]>()
  for (const address of [...addresses].sort((a, b) => rankDirect(a) - rankDirect(b))) {
    const relay = address.getComponents().find(({ name }) => name === 'p2p')?.value ?? ''
    byRelay.set(relay, [...(byRelay.get(relay) ?? []), address])
  }
  const rows = [...byRelay.values()]
  const longest = Math.max(0, ...rows.map(({ length }) => length))
  return Array.from({ length: longest }, (_, index) => rows.flatMap((row) => row.slice(index, index + 1))).flat()
}

function raceSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
