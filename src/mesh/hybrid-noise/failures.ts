import { MeshError } from '../../core/base/index.ts'

/**
 * Why a handshake failed. Bytes: `length`, `decrypt`, `payload`. Keys: `dh-key`, `kem-key`. Who the peer is: `signature`, `identity`. What was agreed: `muxer`,
 * `offers` (less than both can do), `memory` (less than the peer could before). The connection: `closed`, `timeout`.
 */
export const failureReasons = [
  'length',
  'decrypt',
  'payload',
  'dh-key',
  'kem-key',
  'signature',
  'identity',
  'muxer',
  'offers',
  'memory',
  'closed',
  'timeout',
  'internal'
] as const

export type FailureReason = (typeof failureReasons)[number]

/** A handshake that failed. */
export interface HandshakeFailure {
  readonly reason: FailureReason
  /** The protocol id that was running. */
  readonly protocol: string
  readonly direction: 'inbound' | 'outbound'
  readonly error: MeshError
}

export const handshakeError = (reason: FailureReason, cause?: unknown): MeshError => new MeshError('HANDSHAKE_FAILED', { reason }, { cause })

/** The reason of an error that a handshake threw. */
export function reasonOf({ code, details }: MeshError): FailureReason {
  if (code === 'IDENTITY_MISMATCH') return 'identity'
  return failureReasons.find((reason) => reason === details['reason']) ?? 'internal'
}

const downgradeText = / could do (.+), but the connection has only (\S+)/
const identityText = / but the connection belongs to /

/**
 * What an encrypter threw, from an error of libp2p's dial: libp2p 3.3 keeps the text of it and nothing else. A downgrade counts wherever it was; another identity when
 * everybody who answered had one.
 */
export function handshakeErrorIn(cause: unknown, peer: string): MeshError | undefined {
  const texts = textsOf(cause)
  const downgrade = texts.map((text) => downgradeText.exec(text)).find((match) => match !== null)
  if (downgrade) return new MeshError('DOWNGRADE_DETECTED', { peer, best: downgrade[1], actual: downgrade[2] }, { cause })
  if (texts.length === 0 || !texts.every((text) => identityText.test(text))) return undefined
  return new MeshError('IDENTITY_MISMATCH', { what: 'The address', claimed: peer, actual: 'another key' }, { cause })
}

function textsOf(cause: unknown): readonly string[] {
  if (cause instanceof AggregateError) return cause.errors.flatMap(textsOf)
  return [cause instanceof Error ? cause.message : '']
}
