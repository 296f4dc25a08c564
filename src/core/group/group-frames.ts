import { ByteReader, ByteWriter, MeshError } from '../base/index.ts'
import { type EpochSecret, type GroupCrypto, groupTag, groupTagBytes, senderKey } from './epoch-key.ts'

/** One message of a large group as it is gossiped. See docs/wire/group-gossip.md. */
export interface GroupFrame {
  /** 16 bytes: see `groupTag`. */
  readonly tag: Uint8Array
  /** Counts the frames of its sender under this key, from 0; never used twice. */
  readonly counter: number
  /** What stands before the ciphertext. */
  readonly head: Uint8Array
  readonly sealed: Uint8Array
}

const frameVersion = 1
const aeadTagBytes = 16
const headBytes = 1 + groupTagBytes + 8

export const groupFrameLimits = {
  /** A whole frame: with what gossip adds it stays under the 64 KiB that nodes take at a time. */
  bytes: 61_440,
  /** What is sealed in it. */
  contentBytes: 61_440 - headBytes - aeadTagBytes,
  /** Far more than a sender can use of one key. */
  counter: 2 ** 48
} as const

/** Takes a frame apart; nothing in it is verified. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function readGroupFrame(frame: Uint8Array): GroupFrame {
  const reader = new ByteReader(frame, 'group frame')
  if (frame.length > groupFrameLimits.bytes) throw reader.malformed(`over ${groupFrameLimits.bytes} bytes`)
  const version = reader.u8()
  if (version !== frameVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The group frame', version })
  const tag = reader.raw(groupTagBytes)
  const counter = reader.u64()
  if (counter >= groupFrameLimits.counter) throw reader.malformed('the counter is out of range')
  if (reader.remaining <= aeadTagBytes) throw reader.malformed('nothing is sealed in it')
  return { tag, counter, head: frame.subarray(0, headBytes), sealed: reader.raw(reader.remaining) }
}

/** Who seals or sealed, and under which key. */
export interface GroupSealing {
  readonly secret: EpochSecret
  /** Raw Ed25519, 32 bytes. */
  readonly sender: Uint8Array
}

/** Seals `content` (1 byte to `contentBytes`) with ChaCha20-Poly1305 under the sender's own key. @throws {MeshError} BODY_TOO_LARGE */
export function sealGroupFrame(
  crypto: GroupCrypto,
  { secret, sender }: GroupSealing,
  plain: { readonly counter: number; readonly content: Uint8Array }
): Uint8Array {
  const { counter, content } = plain
  if (content.length > groupFrameLimits.contentBytes)
    throw new MeshError('BODY_TOO_LARGE', { bytes: content.length, max: groupFrameLimits.contentBytes })
  const head = new ByteWriter(headBytes).u8(frameVersion).raw(groupTag(crypto, secret)).u64(counter).finish()
  const key = senderKey(crypto, secret, sender)
  const sealed = crypto.aead(key).seal(nonceOf(counter), dataOf(head, sender), content)
  key.fill(0)
  return new ByteWriter(head.length + sealed.length).raw(head).raw(sealed).finish()
}

/** What `sender` sealed. @throws {MeshError} SESSION_RECORD_INVALID when another one did, under another key, or it was changed */
export function openGroupFrame(crypto: GroupCrypto, { secret, sender }: GroupSealing, { counter, head, sealed }: GroupFrame): Uint8Array {
  const key = senderKey(crypto, secret, sender)
  try {
    return crypto.aead(key).open(nonceOf(counter), dataOf(head, sender), sealed)
  } catch (cause) {
    throw new MeshError('SESSION_RECORD_INVALID', { reason: 'the tag of a group frame is wrong' }, { cause })
  } finally {
    key.fill(0)
  }
}

/** 4 zero bytes ‖ u64 counter. */
const nonceOf = (counter: number): Uint8Array => new ByteWriter(12).u32(0).u64(counter).finish()
const dataOf = (head: Uint8Array, sender: Uint8Array): Uint8Array => new ByteWriter(headBytes + 32).raw(head).raw(sender).finish()
