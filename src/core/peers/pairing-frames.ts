import { ByteReader, ByteWriter, type Bytes, type ErrorCode, MeshError } from '../base/index.ts'
import { cardLimits } from './card.ts'
import { inviteLimits } from './invite.ts'

/** The frames of /synaptic-mesh/pair/1.0.0, in the order in which they come. See docs/wire/pairing.md. */
export type PairingFrame =
  | { readonly kind: 'hello'; readonly inviteId: Uint8Array; readonly nonce: Uint8Array }
  | { readonly kind: 'challenge'; readonly nonce: Uint8Array }
  | { readonly kind: 'proof'; readonly proof: Uint8Array; readonly card: Uint8Array }
  | { readonly kind: 'accepted'; readonly proof: Uint8Array; readonly card: Uint8Array }
  /** The same peer used this invite before; its connection is its proof. */
  | { readonly kind: 'known'; readonly card: Uint8Array }
  | { readonly kind: 'refused'; readonly code: PairingRefusal }

/** Why an inviter refuses; each is a code of the error table. */
export const pairingRefusals = [
  'INVITE_INVALID',
  'INVITE_EXPIRED',
  'INVITE_USED',
  'UNSUPPORTED_VERSION',
  'MESSAGE_MALFORMED'
] as const satisfies readonly ErrorCode[]
export type PairingRefusal = (typeof pairingRefusals)[number]

export const pairingSizes = { nonce: 32, proof: 32 } as const

const version = 1
const kinds = { hello: 1, challenge: 2, proof: 3, accepted: 4, known: 5, refused: 6 } as const

export function encodePairingFrame(frame: PairingFrame): Bytes {
  const writer = new ByteWriter().u8(kinds[frame.kind])
  switch (frame.kind) {
    case 'hello':
      return writer.u8(version).raw(frame.inviteId).raw(frame.nonce).finish()
    case 'challenge':
      return writer.raw(frame.nonce).finish()
    case 'proof':
    case 'accepted':
      return writer.raw(frame.proof).prefixed16(frame.card).finish()
    case 'known':
      return writer.prefixed16(frame.card).finish()
    case 'refused':
      return writer.u8(pairingRefusals.indexOf(frame.code)).finish()
    default:
      return frame satisfies never
  }
}

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodePairingFrame(bytes: Uint8Array): PairingFrame {
  const reader = new ByteReader(bytes, 'pairing frame')
  const frame = readFrame(reader)
  reader.end()
  return frame
}

function readFrame(reader: ByteReader): PairingFrame {
  const kind = reader.u8()
  switch (kind) {
    case kinds.hello:
      return readHello(reader)
    case kinds.challenge:
      return { kind: 'challenge', nonce: reader.raw(pairingSizes.nonce) }
    case kinds.proof:
      return { kind: 'proof', proof: reader.raw(pairingSizes.proof), card: reader.prefixed16(cardLimits.bytes) }
    case kinds.accepted:
      return { kind: 'accepted', proof: reader.raw(pairingSizes.proof), card: reader.prefixed16(cardLimits.bytes) }
    case kinds.known:
      return { kind: 'known', card: reader.prefixed16(cardLimits.bytes) }
    case kinds.refused:
      return readRefused(reader)
    default:
      throw reader.malformed(`kind ${kind}`)
  }
}

function readHello(reader: ByteReader): PairingFrame {
  const found = reader.u8()
  if (found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The pairing', version: found })
  return { kind: 'hello', inviteId: reader.raw(inviteLimits.idBytes), nonce: reader.raw(pairingSizes.nonce) }
}

function readRefused(reader: ByteReader): PairingFrame {
  const code = pairingRefusals[reader.u8()]
  if (code === undefined) throw reader.malformed('a refusal that is not known')
  return { kind: 'refused', code }
}
