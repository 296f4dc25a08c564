import type { Clock } from '../core/base/index.ts'
import { TokenBuckets } from '../mesh/token-buckets.ts'

/** Of the 64 circuits that libp2p takes from one relay at one time, paired peers have the other half. */
const maxStrangers = 32
const maxPerStranger = 4
/** Circuits of strangers in a second, all together: libp2p takes 40 connections a second from one address, and that of all these is the relay's. */
const strangerRate = { perSecond: 20, burst: 30 } as const
const strangers = 'strangers'

/**
 * Who may call over relays. All of them come from the relay's address, so that they are counted by who the relay says they are: paired peers come in however
 * many strangers hold the line. A relay that lies about it could refuse them as well.
 */
export class CircuitCallers {
  readonly #rate: TokenBuckets
  readonly #perStranger = new Map<string, number>()
  #isPaired: (peerId: string) => boolean = () => false
  #strangers = 0

  constructor(clock: Clock) {
    this.#rate = new TokenBuckets({ clock, ...strangerRate, maxKeys: 1 })
  }

  /** Says who is paired; nobody before. */
  prefer(isPaired: (peerId: string) => boolean): void {
    this.#isPaired = isPaired
  }

  /** Whether a circuit is taken at all. */
  mayCall(peerId: string): boolean {
    return this.#isPaired(peerId) || (this.#hasRoom(peerId) && this.#rate.take(strangers))
  }

  /** Counts a circuit; the returned function ends that. undefined: there are too many. */
  enter(peerId: string): (() => void) | undefined {
    if (this.#isPaired(peerId)) return () => undefined
    if (!this.#hasRoom(peerId)) return undefined
    this.#strangers += 1
    this.#perStranger.set(peerId, (this.#perStranger.get(peerId) ?? 0) + 1)
    return () => this.#leave(peerId)
  }

  #hasRoom(peerId: string): boolean {
    return this.#strangers < maxStrangers && (this.#perStranger.get(peerId) ?? 0) < maxPerStranger
  }

  #leave(peerId: string): void {
    this.#strangers -= 1
    const left = (this.#perStranger.get(peerId) ?? 1) - 1
    if (left > 0) this.#perStranger.set(peerId, left)
    else this.#perStranger.delete(peerId)
  }
}
