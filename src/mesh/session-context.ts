import type { Clock, HandshakeCrypto, KemLevel, Signer, Verifier } from '../core/base/index.ts'
import { NoiseHandshake, hybridSuite } from '../core/noise/index.ts'
import { type IdentityTools, type RekeyPolicy, type SessionTools, defaultRekeyPolicy } from '../core/session/index.ts'
import type { Timers } from './ports.ts'

/** From the call to the peer's key confirmation. */
const defaultHandshakeMs = 5_000

export interface SessionContextOptions {
  readonly crypto: HandshakeCrypto
  readonly clock: Clock
  readonly timers: Timers
  readonly network: string
  readonly signer: Signer
  readonly verifier: Verifier
  /** The levels that this node carries, ascending; by default all three. */
  readonly levels?: readonly KemLevel[]
  /** By default 2^20 records, 1 GiB, 10 minutes. */
  readonly rekey?: Partial<RekeyPolicy>
  /** By default 5,000. */
  readonly handshakeMs?: number
  /** ML-DSA-65, on nodes that have it. */
  readonly pq?: IdentityTools['pq']
}

/** What all sessions of a node share. */
export interface SessionContext {
  readonly tools: SessionTools
  readonly clock: Clock
  readonly timers: Timers
}

/** Makes a node's context, with a Noise static key that is fresh in each process and used for sessions alone. */
export function createSessionContext(options: SessionContextOptions): SessionContext {
  const { crypto, clock, timers, network, signer, verifier, pq } = options
  const staticKey = crypto.generateDh()
  const tools: SessionTools = {
    crypto,
    network,
    signer,
    verifier,
    pq,
    levels: options.levels ?? [1, 3, 5],
    rekey: { ...defaultRekeyPolicy, ...options.rekey },
    handshakeMs: options.handshakeMs ?? defaultHandshakeMs,
    createHandshake: ({ suite, role, prologue, ephemeral }) =>
      new NoiseHandshake({ suite: hybridSuite(suite.level), role, crypto, staticKey, prologue, ephemeral })
  }
  return { tools, clock, timers }
}
