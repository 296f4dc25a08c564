import { type Clock, compareBytes, MeshError, type Millis, toHex, type Verifier } from '../../core/base/index.ts'
import { descriptorId, type Offer, type OnionDescriptor, type OnionDirectory, parseDescriptor, verifyDescriptor } from '../../core/onion/index.ts'
import { TokenBuckets } from '../token-buckets.ts'

export interface DescriptorIntakeOptions {
  readonly directory: OnionDirectory
  readonly verifier: Verifier
  readonly network: string
  readonly clock: Clock
  readonly ownKey: Uint8Array
  /** Somebody has a descriptor of ours, well signed, that is newer than what we know of. */
  readonly onOwn: (descriptor: OnionDescriptor) => void
}

/** Totals since the start, of descriptors that came from others. */
export interface IntakeCounters {
  /** New or newer. */
  readonly taken: number
  /** Malformed, of another network, of another sender or with a wrong signature. */
  readonly refused: number
  /** Expired, or of a time to come. */
  readonly untimely: number
  /** Left out because the directory is full. */
  readonly crowdedOut: number
}

/** `own`: it is of this node, which issues its descriptors itself. */
export interface Taken {
  readonly verdict: Offer | 'own'
  readonly descriptor: OnionDescriptor | undefined
}

/** New members taken in a second while somebody has to go for each: finding out who costs time. */
const crowdedPerSecond = 5
const maxUntimely = 64
const untimelyMs = 1_800_000

/** The way of a descriptor into the directory: cheap checks first, the signature last. */
export class DescriptorIntake {
  readonly #options: DescriptorIntakeOptions
  readonly #crowdedRate: TokenBuckets
  /** Keys whose last descriptor did not hold, and when it came. */
  readonly #untimely = new Map<string, Millis>()
  readonly #counters = { taken: 0, refused: 0, untimely: 0, crowdedOut: 0 }

  constructor(options: DescriptorIntakeOptions) {
    this.#options = options
    this.#crowdedRate = new TokenBuckets({ clock: options.clock, perSecond: crowdedPerSecond, burst: 10 * crowdedPerSecond })
  }

  get counters(): IntakeCounters {
    return { ...this.#counters }
  }

  /** Keys of which nothing but descriptors of another time came in the last half hour: more of them than of others, and our own clock is wrong. */
  get untimelyKeys(): number {
    const since = this.#options.clock.monotonic() - untimelyMs
    return [...this.#untimely.values()].filter((at) => at > since).length
  }

  /**
   * Takes a descriptor in, when it holds.
   * @param from - the key that it must be of
   * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, NETWORK_MISMATCH, IDENTITY_MISMATCH, SIGNATURE_INVALID
   */
  take(bytes: Uint8Array, from?: Uint8Array): Taken {
    try {
      const taken = this.#take(bytes, from)
      this.#count(taken)
      return taken
    } catch (error) {
      this.#counters.refused += 1
      throw error
    }
  }

  #take(bytes: Uint8Array, from: Uint8Array | undefined): Taken {
    const { directory, clock, ownKey, onOwn } = this.#options
    if (directory.has(descriptorId(bytes))) return { verdict: 'known', descriptor: undefined }
    const parsed = parseDescriptor(bytes)
    const { descriptor } = parsed
    if (from !== undefined && compareBytes(from, descriptor.publicKey) !== 0)
      throw new MeshError('IDENTITY_MISMATCH', { what: 'The descriptor', claimed: 'another key', actual: 'the key of its sender' })
    const now = clock.wall()
    const offer = directory.judge(descriptor, bytes, now)
    if (offer !== 'new' && offer !== 'newer') return { verdict: offer, descriptor }
    if (offer === 'new' && directory.isFull && !this.#crowdedRate.take('all')) return { verdict: 'full', descriptor }
    verifyDescriptor(parsed, this.#options)
    if (compareBytes(descriptor.publicKey, ownKey) === 0) {
      onOwn(descriptor)
      return { verdict: 'own', descriptor }
    }
    return { verdict: directory.add(descriptor, bytes, now), descriptor }
  }

  #count({ verdict, descriptor }: Taken): void {
    const key = descriptor === undefined ? '' : toHex(descriptor.publicKey)
    this.#untimely.delete(key)
    if (isTaken(verdict)) this.#counters.taken += 1
    else if (verdict === 'full') this.#counters.crowdedOut += 1
    else if (verdict === 'future' || verdict === 'expired') {
      this.#counters.untimely += 1
      this.#untimely.set(key, this.#options.clock.monotonic())
      if (this.#untimely.size > maxUntimely) this.#untimely.delete(this.#untimely.keys().next().value ?? '')
    }
  }
}

/** Whether the directory has changed by it. */
export const isTaken = (verdict: Taken['verdict']): boolean => verdict === 'new' || verdict === 'newer'
