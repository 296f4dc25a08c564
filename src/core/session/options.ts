import type { HandshakeCrypto, KemLevel } from '../base/index.ts'
import type { CreateHandshake } from './handshake.ts'
import type { IdentityTools } from './identity.ts'

/** When a session asks for new keys: at the first of the three, counted from the last ones. The side that receives waits a sixteenth longer. */
export interface RekeyPolicy {
  /** Records of one direction, 1 to 2^31. */
  readonly records: number
  /** Bytes of plaintext of one direction. */
  readonly bytes: number
  readonly ms: number
}

/** 2^20 records, 1 GiB, 10 minutes. */
export const defaultRekeyPolicy: RekeyPolicy = { records: 1_048_576, bytes: 1_073_741_824, ms: 600_000 }

/** What both sides of a session are given. */
export interface SessionTools extends IdentityTools {
  readonly crypto: HandshakeCrypto
  readonly createHandshake: CreateHandshake
  readonly rekey: RekeyPolicy
  /** The handshake fails after so long. */
  readonly handshakeMs: number
}

export interface InitiatorOptions extends SessionTools {
  readonly role: 'initiator'
  readonly level: KemLevel
  /** Whether both sides shall sign with ML-DSA-65, too. */
  readonly pqAuth: boolean
  /** The responder as it was addressed: a peer id or a shadow address. */
  readonly responder: string
  /** The Ed25519 key that it must prove. */
  readonly responderKey: Uint8Array
}

export interface ResponderOptions extends SessionTools {
  readonly role: 'responder'
  /** Lower levels are refused. */
  readonly minimumLevel: KemLevel
  /** Whether sessions without ML-DSA-65 are refused. */
  readonly requirePqAuth: boolean
  /** The name under which this node was addressed. */
  readonly responder: string
  /** The key that the transport authenticated; undefined when it authenticates nobody. */
  readonly initiatorKey: Uint8Array | undefined
}

export type SessionOptions = InitiatorOptions | ResponderOptions
