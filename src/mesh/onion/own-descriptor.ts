import { type Clock, type KemLevel, type Signer, toHex, wallMillis } from '../../core/base/index.ts'
import { encodeDescriptor, lionessCipher, type OnionDescriptor, type OnionRole } from '../../core/onion/index.ts'
import { ownAddresses } from './descriptor-addresses.ts'

/** What this node says of itself besides its addresses. */
export interface OwnMembership {
  /** `relay` becomes `endpoint` while nobody could call this node directly. */
  readonly role: OnionRole
  /** The 32-byte X25519 onion key of now. */
  readonly onionKey: Uint8Array
  /** Identity keys of other relays of the same operator. */
  readonly family: readonly Uint8Array[]
  readonly levels: readonly KemLevel[]
  readonly bytesPerSecond: number
}

export interface OwnDescriptorOptions {
  readonly clock: Clock
  readonly signer: Signer
  readonly network: string
  /** undefined: this node is no member of circuits. */
  readonly describe: () => OwnMembership | undefined
  /** Our multiaddrs. */
  readonly multiaddrs: () => readonly string[]
}

export interface Issued {
  readonly descriptor: OnionDescriptor
  readonly bytes: Uint8Array
}

/** Descriptors hold for so long: what is no longer there is soon no longer chosen. */
const lifetimeMs = 3 * 3_600_000
/** After this it is signed anew, so that it never runs out on the way. */
const reissueMs = 1_200_000

/** Issues our own descriptor, anew when what it says has changed or it is no longer fresh. */
export class OwnDescriptor {
  readonly #options: OwnDescriptorOptions
  #last: (Issued & { readonly said: string; readonly at: number }) | undefined
  #sequence = 0

  constructor(options: OwnDescriptorOptions) {
    this.#options = options
  }

  /** The descriptor as it is now; undefined while this node has no address, or is no member. */
  issue(): Issued | undefined {
    const { clock, network, signer, describe, multiaddrs } = this.#options
    const membership = describe()
    if (membership === undefined) return undefined
    const { role: wanted, onionKey, family, levels, bytesPerSecond } = membership
    const { role, addresses } = ownAddresses(multiaddrs(), wanted)
    if (addresses.length === 0) return undefined
    const said = JSON.stringify([role, addresses, toHex(onionKey), family.map(toHex), levels, bytesPerSecond])
    const last = this.#last
    if (last !== undefined && last.said === said && clock.monotonic() - last.at < reissueMs && last.descriptor.sequence === this.#sequence)
      return last
    const issuedAt = clock.wall()
    // Greater than all before it, also when the clock was set back.
    this.#sequence = Math.max(this.#sequence + 1, issuedAt)
    const descriptor: OnionDescriptor = {
      ...{ network, publicKey: signer.publicKey, onionKey, role, addresses, family, levels, bytesPerSecond },
      ciphers: [lionessCipher],
      sequence: this.#sequence,
      issuedAt,
      expiresAt: wallMillis(issuedAt + lifetimeMs)
    }
    this.#last = { descriptor, bytes: encodeDescriptor(descriptor, signer), said, at: clock.monotonic() }
    return this.#last
  }

  /** Others have a descriptor of ours with this number, from before our clock was set back: the next one has a greater number. */
  overtake(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence)
  }
}
