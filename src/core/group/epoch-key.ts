import { sha256 } from '@noble/hashes/sha2.js'
import { ByteWriter, type Bytes, type HandshakeCrypto, utf8 } from '../base/index.ts'

/** What keys of groups compute with. */
export type GroupCrypto = Pick<HandshakeCrypto, 'hmac' | 'aead'>

/** The key of one epoch of one group: 32 random bytes that its members have and nobody else. */
export interface EpochSecret {
  readonly key: Uint8Array
  readonly group: Uint8Array
  readonly epoch: number
}

export const epochKeyBytes = 32
export const groupTagBytes = 16

const salt = utf8('synaptic-mesh group keys/1')

/** The 16 bytes by which members recognise a frame of this epoch: it says nothing to others but that two frames have the same key. */
export const groupTag = (crypto: GroupCrypto, secret: EpochSecret): Uint8Array =>
  derive(crypto, secret, { sender: new Uint8Array(0), purpose: 'tag' }).slice(0, groupTagBytes)

/** The key under which one member seals in this epoch, 32 bytes: every sender has one of its own, so that no two share a counter. The caller wipes it. */
export const senderKey = (crypto: GroupCrypto, secret: EpochSecret, sender: Uint8Array): Uint8Array =>
  derive(crypto, secret, { sender, purpose: 'sender' })

/** SHA-256 over the keys of the members in the order of the record: what an epoch's key is made for, also where two admins made that epoch at the same time. */
export function membersDigest(members: readonly { readonly key: Uint8Array }[]): Uint8Array {
  const hash = sha256.create().update(utf8('synaptic-mesh group members/1'))
  for (const { key } of members) hash.update(key)
  return hash.digest()
}

/** HKDF-SHA-256 (RFC 5869) with info = lp(purpose) ‖ lp(sender) ‖ lp(group) ‖ u32 epoch; one block. */
function derive(
  crypto: GroupCrypto,
  { key, group, epoch }: EpochSecret,
  { sender, purpose }: { readonly sender: Uint8Array; readonly purpose: string }
): Bytes {
  const info = new ByteWriter(96).prefixed32(utf8(purpose)).prefixed32(sender).prefixed32(group).u32(epoch).u8(1).take()
  const extracted = crypto.hmac('sha256', salt, key)
  const block = new Uint8Array(crypto.hmac('sha256', extracted, info))
  extracted.fill(0)
  return block
}
