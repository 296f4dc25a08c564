import { type Bytes, concat, equalBytes } from '../base/index.ts'

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** An identity multihash (00, 36 bytes) of libp2p's key protobuf: type 1 = Ed25519, 32 bytes. */
const head = new Uint8Array([0x00, 0x24, 0x08, 0x01, 0x12, 0x20])
const keyBytes = 32

/** The text of an Ed25519 peer id: base58btc of the multihash. @param key - raw, 32 bytes */
export function peerIdText(key: Uint8Array): string {
  let number = concat(head, key).reduce((value, byte) => value * 256n + BigInt(byte), 0n)
  let text = ''
  for (; number > 0n; number /= 58n) text = `${alphabet[Number(number % 58n)] ?? ''}${text}`
  // The first byte of the head is the one zero.
  return `1${text}`
}

/** The raw key in the text of an Ed25519 peer id; undefined when it is none. */
export function keyOfPeerIdText(text: string): Bytes | undefined {
  if (!/^1[1-9A-HJ-NP-Za-km-z]{51}$/.test(text)) return undefined
  let number = Array.from(text).reduce((value, letter) => value * 58n + BigInt(alphabet.indexOf(letter)), 0n)
  const bytes = new Uint8Array(head.length + keyBytes)
  for (let index = bytes.length - 1; index >= 0; index--, number /= 256n) bytes[index] = Number(number % 256n)
  const isExact = number === 0n && equalBytes(bytes.subarray(0, head.length), head)
  return isExact ? bytes.slice(head.length) : undefined
}
