import { ByteReader, ByteWriter, type Bytes, type ErrorCode, MeshError } from '../base/index.ts'
import { cardLimits } from './card.ts'
import { inviteLimits } from './invite.ts'

/** The frames inside of a session over /synaptic-mesh/pair/2.0.0, in the order in which they come. See docs/wire/pairing.md. */
export type PairingFrame =
  | { readonly kind: 'join'; readonly inviteId: Uint8Array; readonly proof: Uint8Array; readonly card: Uint8Array }
  | { readonly kind: 'accepted'; readonly proof: Uint8Array; readonly card: Uint8Array }
  /** The same peer used this invite before and has not said that it is done; its session is its proof. */
  | { readonly kind: 'known'; readonly card: Uint8Array }
  | { readonly kind: 'refused'; readonly code: PairingRefusal }
  /** The joiner has committed, too: the invite serves nobody any more. */
  | { readonly kind: 'done' }

/** Why an inviter refuses; each is a code of the error table. */
export const pairingRefusals = [
  'INVITE_INVALID',
  'INVITE_EXPIRED',
  'INVITE_USED',
  'UNSUPPORTED_VERSION',
  'MESSAGE_MALFORMED',
  'INVITE_REVOKED'
] as const satisfies readonly ErrorCode[]
export type PairingRefusal = (typeof pairingRefusals)[number]

export const pairingSizes = { binding: 32, proof: 32 } as const

const version = 2
const kinds = { join: 1, accepted: 2, known: 3, refused: 4, done: 5 } as const

export function encodePairingFrame(frame: PairingFrame): Bytes {
  const writer = new ByteWriter().u8(kinds[frame.kind])
  switch (frame.kind) {
    case 'join':
      return writer.u8(version).raw(frame.inviteId).raw(frame.proof).prefixed16(frame.card).finish()
    case 'accepted':
      return writer.raw(frame.proof).prefixed16(frame.card).finish()
    case 'known':
      return writer.prefixed16(frame.card).finish()
    case 'refused':
      return writer.u8(pairingRefusals.indexOf(frame.code)).finish()
    case 'done':
      return writer.finish()
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
    case kinds.join:
      return readJoin(reader)
    case kinds.accepted:
      return { kind: 'accepted', proof: reader.raw(pairingSizes.proof), card: reader.prefixed16(cardLimits.bytes) }
    case kinds.known:
      return { kind: 'known', card: reader.prefixed16(cardLimits.bytes) }
    case kinds.refused:
      return readRefused(reader)
    case kinds.done:
      return { kind: 'done' }
    default:
      throw reader.malformed(`kind ${kind}`)
  }
}

function readJoin(reader: ByteReader): PairingFrame {
  const found = reader.u8()
  if (found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The pairing', version: found })
  return {
    kind: 'join',
    inviteId: reader.raw(inviteLimits.idBytes),
    proof: reader.raw(pairingSizes.proof),
    card: reader.prefixed16(cardLimits.bytes)
  }
}

function readRefused(reader: ByteReader): PairingFrame {
  const code = pairingRefusals[reader.u8()]
  if (code === undefined) throw reader.malformed('a refusal that is not known')
  return { kind: 'refused', code }
}
