import { ByteReader, ByteWriter, type Bytes, MeshError, type Signer, type Verifier, signingDomains } from '../base/index.ts'
import { cellSizes } from './types.ts'

/** What a LINK cell is about: the first byte of its body. */
export const linkKinds = {
  identity: 1,
  puzzle: 2,
  solution: 3,
  /** Nothing was heard for long: whoever gets it answers with PADDING, so that the other end knows that it is there. */
  probe: 4
} as const

/** A proof is taken that is so old, or from so far in the future, in ms. */
export const maxProofSkewMs = 600_000

const keyBytes = 32
const signatureBytes = 64
const domain = signingDomains.onionLink

/** The connection that a proof is for. */
export interface ProofContext {
  /** The opener's ephemeral key of the connection, 32 bytes. */
  readonly linkKey: Uint8Array
  /** The identity key of who was called, 32 bytes. */
  readonly acceptor: Uint8Array
  /** Milliseconds since 1970. */
  readonly now: number
}

/** What is signed: both keys of the connection, so that a proof is of no use on any other, and the time. */
const proved = ({ linkKey, acceptor }: ProofContext, time: number): Bytes =>
  new ByteWriter(2 * keyBytes + 8).raw(linkKey).raw(acceptor).u64(time).finish()

/** The body of the LINK cell by which the opener of a link proves that it is a relay's: u8 kind ‖ 32-byte identity key ‖ u64 time ‖ 64-byte signature ‖ zeros. */
export function proveLink(signer: Signer, context: ProofContext): Bytes {
  const body = new Uint8Array(cellSizes.body)
  new ByteWriter(body)
    .u8(linkKinds.identity)
    .raw(signer.publicKey)
    .u64(context.now)
    .raw(signer.sign(domain, proved(context, context.now)))
  return body
}

/** Whether a LINK cell proves an identity. */
export const isLinkProof = (body: Uint8Array): boolean => body[0] === linkKinds.identity

/**
 * The identity key that the opener of a link proved.
 * @throws {MeshError} MESSAGE_MALFORMED, SIGNATURE_INVALID (also for a proof of another link), CIRCUIT_VIOLATION for one that is over 10 minutes off
 */
export function provedKey(verifier: Verifier, body: Uint8Array, context: ProofContext): Uint8Array {
  const reader = new ByteReader(body, 'proof of a link')
  if (reader.u8() !== linkKinds.identity) throw reader.malformed('not a proof')
  const publicKey = reader.raw(keyBytes).slice()
  const time = reader.u64()
  const signature = reader.raw(signatureBytes)
  if (reader.raw(reader.remaining).some((byte) => byte !== 0)) throw reader.malformed('bytes behind the proof that are not zero')
  if (Math.abs(context.now - time) > maxProofSkewMs)
    throw new MeshError('CIRCUIT_VIOLATION', { reason: 'the proof of a link is more than ten minutes off' })
  if (!verifier.verify(domain, publicKey, proved(context, time), signature)) throw new MeshError('SIGNATURE_INVALID', { what: 'a link of circuits' })
  return publicKey
}
