import type { Libp2p } from '@libp2p/interface'
import { type Clock, MeshError } from '../core/base/index.ts'
import type { Via } from '../core/message/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import type { LogRecord, Mesh, RememberedPart } from './mesh.ts'
import type { Recipient } from './mesh-outbox.ts'
import { callNat } from './nat-call.ts'
import type { NetworkWatchPort } from './nat-ports.ts'
import { callNetcheck } from './netcheck.ts'
import type { Neighbourhood } from './neighbourhood.ts'
import { keyOf, type PeerBook } from './peer-book.ts'
import type { Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'
import type { Reach } from './reach.ts'
import type { Sessions } from './sessions.ts'

export interface DiagnosticsOptions {
  readonly libp2p: Libp2p
  readonly clock: Clock
  readonly timers: Timers
  readonly options: MeshOptions
  readonly watch: Pick<NetworkWatchPort, 'addresses'>
  readonly book: PeerBook
  readonly sessions: Sessions
  readonly neighbourhood: Neighbourhood
  readonly reach: Reach
  /** Whom a text means. */
  readonly recipient: (name: string, via: Via) => Promise<Recipient>
  readonly forgetPeer: (peer: { readonly peerId: string; readonly publicKey: Uint8Array }) => readonly RememberedPart[]
  readonly log: (record: LogRecord) => void
}

type Calls = Pick<Mesh, 'ping' | 'quantum' | 'nat' | 'netcheck' | 'trust'>

/** What a node finds out about a peer, or its network, when it is asked: see the methods of the same names in Mesh. */
export class Diagnostics implements Calls {
  readonly #options: DiagnosticsOptions

  constructor(options: DiagnosticsOptions) {
    this.#options = options
  }

  async ping(name: string, options: Parameters<Calls['ping']>[1] = {}): ReturnType<Calls['ping']> {
    const { book, neighbourhood } = this.#options
    const { peerId } = await this.#directly('A ping', name, options.via)
    return { peer: book.referenceOf(peerId), rttMs: await neighbourhood.ping(peerId, options) }
  }

  async quantum(name: string, options: Parameters<Calls['quantum']>[1] = {}): ReturnType<Calls['quantum']> {
    const { recipient, book, sessions } = this.#options
    const { publicKey, peerId } = options.via === 'onion' ? await recipient(name, 'onion') : await this.#directly('The session', name, options.via)
    return { peer: book.referenceOf(peerId), ...(await sessions.measure(publicKey, options)) }
  }

  async nat(name: string, options: Parameters<Calls['nat']>[1] = {}): ReturnType<Calls['nat']> {
    const { reach } = this.#options
    const parts = { ...this.#options, traversals: reach.traversals, measure: () => reach.network.measure() }
    return callNat(parts, (await this.#directly('Finding a direct way', name, options.via)).peerId, options)
  }

  /** Whom a text means, for a thing that goes directly to it: where circuits are the rule, only when that is said. @throws {MeshError} ONION_ONLY … */
  async #directly(operation: string, name: string, via: Via | undefined): Promise<Recipient> {
    const { options, recipient, book } = this.#options
    if (!options.onionRouting || via === 'direct') return recipient(name, 'direct')
    const { peerId } = await recipient(name, 'onion')
    throw new MeshError('ONION_ONLY', { operation, peer: book.referenceOf(peerId).name })
  }

  netcheck(options: Parameters<Calls['netcheck']>[0] = {}): ReturnType<Calls['netcheck']> {
    const { neighbourhood } = this.#options
    const { relays } = neighbourhood.relays
    return callNetcheck({ ...this.#options, relays, ping: (peerId, ping) => neighbourhood.ping(peerId, ping) }, options)
  }

  async trust(name: string): ReturnType<Calls['trust']> {
    const { neighbourhood, forgetPeer, log, book } = this.#options
    const { peerId } = await neighbourhood.find(name)
    const forgotten = forgetPeer({ peerId, publicKey: keyOf(peerId) })
    log({ level: 'warn', event: 'peer.trusted', fields: { peer: shortPeerId(peerId), what: forgotten } })
    return { peer: book.referenceOf(peerId), forgotten }
  }
}
