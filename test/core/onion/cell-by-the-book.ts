import { createCipheriv } from 'node:crypto'

// The cell cipher as rule O1 says it, from other sources than src has: ChaCha20 by OpenSSL, BLAKE2b from the text of RFC 7693 in big integers. Slow.

const mask = (1n << 64n) - 1n
const rotated = (value: bigint, bits: bigint): bigint => ((value >> bits) | (value << (64n - bits))) & mask

/** RFC 7693 section 2.6. */
const iv = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n
]

/** RFC 7693 section 2.7, one hexadecimal digit for each place; rounds 10 and 11 begin anew. */
const sigma = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0'
]

/** RFC 7693 section 3.2: which four words each mixing takes. */
const mixings = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14]
] as const

function compress(state: bigint[], block: Buffer, counted: { readonly bytes: number; readonly isLast: boolean }): void {
  const word = (index: number): bigint => block.readBigUInt64LE(index * 8)
  const v = [...state, ...iv]
  const at = (index: number): bigint => v[index] ?? 0n
  v[12] = at(12) ^ BigInt(counted.bytes)
  if (counted.isLast) v[14] = at(14) ^ mask
  for (let round = 0; round < 12; round++) {
    const order = sigma[round % 10] ?? ''
    for (const [index, [a, b, c, d]] of mixings.entries()) {
      const [x, y] = [word(parseInt(order[2 * index] ?? '', 16)), word(parseInt(order[2 * index + 1] ?? '', 16))]
      for (const [input, first, second] of [
        [x, 32n, 24n],
        [y, 16n, 63n]
      ] as const) {
        v[a] = (at(a) + at(b) + input) & mask
        v[d] = rotated(at(d) ^ at(a), first)
        v[c] = (at(c) + at(d)) & mask
        v[b] = rotated(at(b) ^ at(c), second)
      }
    }
  }
  for (const [index, value] of state.entries()) state[index] = value ^ at(index) ^ at(index + 8)
}

/** Keyed BLAKE2b of `length` bytes (RFC 7693 section 3.3). */
export function blake2b(length: number, key: Uint8Array, data: Uint8Array): Buffer {
  const padded = Buffer.alloc(128 + data.length)
  padded.set(key)
  padded.set(data, 128)
  const state = [...iv]
  state[0] = (state[0] ?? 0n) ^ 0x01010000n ^ (BigInt(key.length) << 8n) ^ BigInt(length)
  for (let start = 0; start < padded.length; start += 128) {
    const block = Buffer.alloc(128)
    padded.copy(block, 0, start, start + 128)
    compress(state, block, { bytes: Math.min(start + 128, padded.length), isLast: start + 128 >= padded.length })
  }
  const digest = Buffer.alloc(64)
  for (const [index, value] of state.entries()) digest.writeBigUInt64LE(value, index * 8)
  return digest.subarray(0, length)
}

/** RFC 8439: OpenSSL's sixteen bytes are the counter, little-endian, and the nonce. */
const chacha20 = (key: Uint8Array, nonce: Uint8Array, data: Uint8Array): Buffer =>
  createCipheriv('chacha20', key, Buffer.concat([Buffer.alloc(4), nonce])).update(data)

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, index) => byte ^ (b[index] ?? 0))

/** What comes out of one step of a relay. */
export interface Step {
  readonly ivs: Uint8Array
  /** What takes the place of the zero bytes of a backward cell, at the relay that it is of. */
  readonly mark: Uint8Array
  readonly output: Uint8Array
  /** The chain for the next cell. */
  readonly chain: Uint8Array
  /** 16 bytes for whoever shows that the cells up to this one arrived. */
  readonly tag: Uint8Array
}

/** A cell that comes to a relay, or is its own and goes back to the client; number `index` of its direction, from 0. */
export interface RelayCell {
  readonly index: number
  readonly command: number
  readonly body: Uint8Array
  readonly isOwn: boolean
}

/** One step of a relay. */
export function relayStep(keys: Uint8Array, chain: Uint8Array, { index, command, body, isOwn }: RelayCell): Step {
  const [k1, k2, k3, k4] = [0, 32, 64, 96].map((start) => keys.slice(start, start + 32))
  if (k1 === undefined || k2 === undefined || k3 === undefined || k4 === undefined) throw new RangeError('four keys')
  const derived = blake2b(64, chain, Buffer.concat([Buffer.from('synaptic-mesh-cell/1'), u64(index), Buffer.of(command)]))
  const [ivs, mark] = [derived.subarray(0, 48), derived.subarray(48)]
  const input = body.slice()
  if (isOwn) input.set(mark)
  let left: Uint8Array = input.slice(0, 32)
  let right: Uint8Array = input.slice(32)
  right = chacha20(xor(left, k1), ivs.subarray(0, 12), right)
  left = xor(left, blake2b(32, Buffer.concat([k2, ivs.subarray(12, 24)]), right))
  right = chacha20(xor(left, k3), ivs.subarray(24, 36), right)
  left = xor(left, blake2b(32, Buffer.concat([k4, ivs.subarray(36, 48)]), right))
  const next = blake2b(32, chain, Buffer.concat([input.subarray(0, 32), left]))
  const tag = blake2b(16, next, Buffer.concat([Buffer.from('synaptic-mesh-cell-tag/1'), u64(index + 1)]))
  return { ivs, mark, output: Buffer.concat([left, right]), chain: next, tag }
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
