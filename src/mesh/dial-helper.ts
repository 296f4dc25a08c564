import type { Connection, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../core/base/index.ts'
import { type DialAddress, dialAddress } from '../core/base/dial-address.ts'
import { ipBytes, ipScope } from '../core/base/ip-scope.ts'
import type { DialOutcome } from '../core/nat/nat-frames.ts'
import { hostOf, isRelayed } from './connections.ts'
import { type DialPurpose, isDialAllowed, type Requester } from './dial-rules.ts'
import type { Dialler } from './dialler.ts'
import type { PeerBook } from './peer-book.ts'
import { TokenBuckets } from './token-buckets.ts'

export interface DialHelperOptions {
  readonly libp2p: Libp2p
  readonly dialler: Pick<Dialler, 'dialAddress'>
  readonly book: PeerBook
  /** See friends.ts. */
  readonly isFriend: (peerId: string) => boolean
  readonly clock: Clock
  /** Ends dials that are under way. */
  readonly signal: AbortSignal
}

export const dialLimits = {
  timeoutMs: 4_000,
  atOnce: 16,
  addresses: 4,
  perSecond: 0.2,
  burst: 12,
  strangersPerSecond: 1,
  strangersBurst: 20
} as const
const strangers = 'strangers'

/** Dials addresses because their owner asks, within bounds that make it of no use against anybody else. */
export class DialHelper {
  readonly #options: DialHelperOptions
  readonly #byRequester: TokenBuckets
  readonly #byHost: TokenBuckets
  readonly #ofStrangers: TokenBuckets
  #running = 0

  constructor(options: DialHelperOptions) {
    this.#options = options
    const { clock } = options
    const { perSecond, burst, strangersPerSecond, strangersBurst } = dialLimits
    this.#byRequester = new TokenBuckets({ clock, perSecond, burst })
    this.#byHost = new TokenBuckets({ clock, perSecond, burst })
    this.#ofStrangers = new TokenBuckets({ clock, perSecond: strangersPerSecond, burst: strangersBurst, maxKeys: 1 })
  }

  /** Dials one address; whether the requester answered there. The connection is closed again if it is of no use besides. */
  async dialBack(peerId: string, text: string): Promise<DialOutcome> {
    const requester = this.#requesterOf(peerId)
    const answer = await this.#dialAny('dial-back', { peerId, requester, texts: [text] })
    if (typeof answer === 'string') return answer
    if (!requester.isPaired || this.#directTo(peerId).length > 1) await answer.close().catch(() => answer.abort(new Error('dialled back')))
    return 'connected'
  }

  /** Dials the addresses side by side and keeps the first connection. */
  async reverse(peerId: string, texts: readonly string[]): Promise<DialOutcome> {
    if (this.#directTo(peerId).length > 0) return 'connected'
    const answer = await this.#dialAny('reversal', { peerId, requester: this.#requesterOf(peerId), texts })
    return typeof answer === 'string' ? answer : 'connected'
  }

  async #dialAny(purpose: DialPurpose, asked: Asked): Promise<Connection | DialOutcome> {
    const { peerId, requester, texts } = asked
    const allowed = texts
      .map((text) => dialAddress(text))
      .filter((address) => address !== undefined)
      .filter((address) => isDialAllowed(purpose, address, requester))
    if (allowed.length === 0) return 'not-allowed'
    const granted = allowed.slice(0, dialLimits.addresses).filter((address) => this.#take(peerId, requester, address))
    if (granted.length === 0) return 'busy'
    const done = new AbortController()
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(dialLimits.timeoutMs), done.signal])
    try {
      return await Promise.any(granted.map((address) => this.#dial(peerId, address, signal)))
    } catch {
      return 'failed'
    } finally {
      done.abort()
    }
  }

  async #dial(peerId: string, { text }: DialAddress, signal: AbortSignal): Promise<Connection> {
    this.#running += 1
    try {
      const connection = await this.#options.dialler.dialAddress(multiaddr(`${text}/p2p/${peerId}`), signal)
      // libp2p proves the key that the address names; another address of the list may have been faster.
      if (signal.aborted || connection.remotePeer.toString() !== peerId) {
        connection.abort(new Error('of no use'))
        throw new Error('of no use')
      }
      return connection
    } finally {
      this.#running -= 1
    }
  }

  #take(peerId: string, requester: Requester, address: DialAddress): boolean {
    if (this.#running >= dialLimits.atOnce) return false
    if (!requester.isPaired && !this.#ofStrangers.take(strangers)) return false
    return this.#byRequester.take(peerId) && this.#byHost.take(siteOf(address))
  }

  #requesterOf(peerId: string): Requester {
    const { libp2p, book, isFriend } = this.#options
    const connections = libp2p.getConnections(peerIdFromString(peerId)).filter(({ status }) => status === 'open')
    const hosts = (all: readonly Connection[]): readonly string[] =>
      all.map(({ remoteAddr }) => hostOf(remoteAddr)).filter((host) => ipScope(host) !== undefined)
    return {
      isPaired: isFriend(peerId),
      hosts: hosts(connections.filter((connection) => !isRelayed(connection))),
      gates: hosts(connections),
      cardAddresses: book.info(peerId).addresses
    }
  }

  #directTo(peerId: string): readonly Connection[] {
    return this.#options.libp2p
      .getConnections(peerIdFromString(peerId))
      .filter((connection) => connection.status === 'open' && !isRelayed(connection))
  }
}

interface Asked {
  readonly peerId: string
  readonly requester: Requester
  readonly texts: readonly string[]
}

/** Whom the rate of a target counts: an IPv4 address, or a /64. */
function siteOf({ host }: DialAddress): string {
  const bytes = ipBytes(host)
  return bytes === undefined ? host : bytes.subarray(0, bytes.length === 4 ? 4 : 8).join('.')
}
