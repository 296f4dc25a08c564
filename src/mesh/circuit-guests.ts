import { type Clock, MeshError } from '../core/base/index.ts'
import { TokenBuckets } from './token-buckets.ts'

/**
 * Handshakes of sessions over circuits: each costs a key agreement and signatures, and who asked for it is known only afterwards. What is limited for each peer
 * over connections is limited here for all of them together, and for each key once it is proved.
 */
const handshakes = { perSecond: 50, burst: 200 } as const
/** Sessions of one key over circuits at one time, as of one peer over connections; a circuit that died silently leaves its own behind for a while. */
const sessionsOfKey = 4

interface Guest {
  readonly peerId: string
  abort(reason: MeshError): void
  readonly closed: Promise<void>
}

/** Bounds what those who come over circuits may take. */
export class CircuitGuests {
  readonly #handshakes: TokenBuckets
  readonly #guests = new Map<string, Guest[]>()

  constructor(clock: Clock) {
    this.#handshakes = new TokenBuckets({ clock, ...handshakes, maxKeys: 1 })
  }

  /** Counts a handshake that is about to begin. @throws {MeshError} PROTOCOL_LIMIT when there are too many */
  admit(): void {
    if (!this.#handshakes.take('all')) throw new MeshError('PROTOCOL_LIMIT', { protocol: 'sessions over circuits', reason: 'too many at once' })
  }

  /** Counts a session that proved its key; the oldest one of a key with too many is ended. */
  proved(guest: Guest): void {
    const guests = this.#guests.get(guest.peerId) ?? []
    guests.push(guest)
    this.#guests.set(guest.peerId, guests)
    void guest.closed.then(() => this.#forget(guest))
    if (guests.length > sessionsOfKey)
      guests
        .shift()
        ?.abort(new MeshError('PROTOCOL_LIMIT', { protocol: 'sessions over circuits', reason: `${sessionsOfKey} newer ones of the same peer` }))
  }

  #forget(guest: Guest): void {
    const left = (this.#guests.get(guest.peerId) ?? []).filter((each) => each !== guest)
    if (left.length === 0) this.#guests.delete(guest.peerId)
    else this.#guests.set(guest.peerId, left)
  }
}
