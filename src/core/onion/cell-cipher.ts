import { chacha20 } from '@noble/ciphers/chacha.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { MeshError, utf8 } from '../base/index.ts'
import { type CellCipher, type CellCommand, type CellLayer, type DirectionKeys, cellSizes } from './types.ts'

/**
 * What a backend computes with: memory of its own and two primitives of a library over parts of it. A part is whatever the backend
 * can use fastest (a view, an address), made once.
 */
export interface CellPrimitives<Part> {
  /** At least `cellMemoryBytes` zero bytes, aligned to four; they stay where they are. */
  readonly memory: Uint8Array
  part(start: number, length: number): Part
  /** data ^= ChaCha20 (RFC 8439 section 2.4, counter from 0) under a 32-byte key and a 12-byte nonce. */
  stream(data: Part, key: Part, nonce: Part): void
  /** output = BLAKE2b (RFC 7693) of `input`, keyed, as long as the output is (16 to 64 bytes). */
  hash(output: Part, input: Part, key: Part): void
}

const keyBytes = 32
const ivBytes = 12
const rounds = 4
const markWords = cellSizes.recognised >> 2
const labels = { iv: utf8('synaptic-mesh-cell/1'), tag: utf8('synaptic-mesh-cell-tag/1') } as const
const counterBytes = 8

/** Where things are in the memory of a backend, in bytes; all but the labels is overwritten by each cell. */
const at = {
  left: 0,
  right: 32,
  streamKey: 1_016,
  hashKey: 1_048,
  ivs: 1_096,
  mark: 1_144,
  digest: 1_160,
  chain: 1_192,
  links: 1_224,
  ivInput: 1_288,
  tagInput: 1_320
} as const

/** The memory that the cell cipher needs, in bytes. */
export const cellMemoryBytes = 1_352

/**
 * The cell cipher of rule O1 over the primitives of a backend: LIONESS (Anderson and Biham 1996) on blocks of 32 + 984 bytes, with IVs that are
 * chained over the cells of one direction (docs/decisions/0019). Layers share the backend's memory: none of them keeps anything there.
 */
export function makeCellCipher<Part>(primitives: CellPrimitives<Part>): CellCipher {
  const bench = new Workbench(primitives)
  return { layer: (keys) => new ChainedLayer(bench, keys) }
}

/** The memory of a backend, and the steps of the cipher on the cell that lies there. */
class Workbench<Part> {
  readonly #primitives: CellPrimitives<Part>
  readonly #memory: Uint8Array
  readonly #words: Uint32Array
  readonly #view: DataView
  readonly #body: Uint8Array
  readonly #nonces: readonly Part[]
  readonly #parts: Readonly<Record<'right' | 'streamKey' | 'hashKey' | 'ivs' | 'digest' | 'chain' | 'links' | 'ivInput' | 'tag' | 'tagInput', Part>>

  constructor(primitives: CellPrimitives<Part>) {
    const { memory } = primitives
    this.#primitives = primitives
    this.#memory = memory
    this.#words = new Uint32Array(memory.buffer, memory.byteOffset, cellMemoryBytes >> 2)
    this.#view = new DataView(memory.buffer, memory.byteOffset, cellMemoryBytes)
    this.#body = memory.subarray(0, cellSizes.body)
    this.#nonces = Array.from({ length: rounds }, (_, round) => primitives.part(at.ivs + round * ivBytes, ivBytes))
    this.#parts = {
      right: primitives.part(at.right, cellSizes.body - keyBytes),
      streamKey: primitives.part(at.streamKey, keyBytes),
      hashKey: primitives.part(at.hashKey, keyBytes + ivBytes),
      ivs: primitives.part(at.ivs, rounds * ivBytes + cellSizes.recognised),
      digest: primitives.part(at.digest, keyBytes),
      chain: primitives.part(at.chain, keyBytes),
      links: primitives.part(at.links, 2 * keyBytes),
      ivInput: primitives.part(at.ivInput, labels.iv.length + counterBytes + 1),
      tag: primitives.part(at.digest, 16),
      tagInput: primitives.part(at.tagInput, labels.tag.length + counterBytes)
    }
    memory.set(labels.iv, at.ivInput)
    memory.set(labels.tag, at.tagInput)
  }

  load(body: Uint8Array): void {
    this.#body.set(body)
  }

  store(body: Uint8Array): void {
    body.set(this.#body)
  }

  /** iv1 ‖ … ‖ iv4 ‖ mark = BLAKE2b-512 under c_i of label ‖ u64 i ‖ command. */
  begin(chain: Uint32Array, index: number, command: number): void {
    this.#words.set(chain, at.chain >> 2)
    this.#count(at.ivInput + labels.iv.length, index)
    this.#memory[at.ivInput + labels.iv.length + counterBytes] = command
    this.#primitives.hash(this.#parts.ivs, this.#parts.ivInput, this.#parts.chain)
  }

  /** R ^= ChaCha20 under L ^ K, for the rounds 0 and 2. */
  streamRight(keys: Uint32Array, round: 0 | 2): void {
    const words = this.#words
    for (let index = 0; index < 8; index++) words[(at.streamKey >> 2) + index] = (words[index] ?? 0) ^ (keys[round * 8 + index] ?? 0)
    const nonce = this.#nonces[round]
    if (nonce !== undefined) this.#primitives.stream(this.#parts.right, this.#parts.streamKey, nonce)
  }

  /** L ^= BLAKE2b-256 of R under K ‖ iv, for the rounds 1 and 3. */
  hashLeft(keys: Uint32Array, round: 1 | 3): void {
    const words = this.#words
    for (let index = 0; index < 8; index++) words[(at.hashKey >> 2) + index] = keys[round * 8 + index] ?? 0
    for (let index = 0; index < 3; index++) words[(at.hashKey >> 2) + 8 + index] = words[(at.ivs >> 2) + round * 3 + index] ?? 0
    this.#primitives.hash(this.#parts.digest, this.#parts.right, this.#parts.hashKey)
    for (let index = 0; index < 8; index++) words[index] = (words[index] ?? 0) ^ (words[(at.digest >> 2) + index] ?? 0)
  }

  /** Puts the mark of this cell in the place of 16 zero bytes. */
  mark(): void {
    for (let index = 0; index < markWords; index++) this.#words[index] = (this.#words[index] ?? 0) ^ (this.#words[(at.mark >> 2) + index] ?? 0)
  }

  /** Makes the mark zero bytes, and zero bytes the mark, which nobody is to take for his own; in constant time. */
  unmark(): void {
    const words = this.#words
    let [zero, marked] = [0, 0]
    for (let index = 0; index < markWords; index++) {
      zero |= words[index] ?? 0
      marked |= (words[index] ?? 0) ^ (words[(at.mark >> 2) + index] ?? 0)
    }
    const mask = isZero(zero) | isZero(marked)
    for (let index = 0; index < markWords; index++) words[index] = (words[index] ?? 0) ^ ((words[(at.mark >> 2) + index] ?? 0) & mask)
  }

  /** Remembers the first 32 bytes of the cell that lies here, as a relay gets it or as it sends it on. */
  keep(side: 'input' | 'output'): void {
    const target = (at.links + (side === 'input' ? 0 : keyBytes)) >> 2
    for (let index = 0; index < 8; index++) this.#words[target + index] = this.#words[index] ?? 0
  }

  /**
   * c_{i+1} = BLAKE2b-256 under c_i of the first 32 bytes of the cell as the relay got it ‖ the first 32 bytes of it as the relay sent it on. Both: a change
   * in R of one side leaves L of that side as it was, and garbles L of the other.
   */
  advance(chain: Uint32Array): void {
    this.#primitives.hash(this.#parts.digest, this.#parts.links, this.#parts.chain)
    for (let index = 0; index < 8; index++) chain[index] = this.#words[(at.digest >> 2) + index] ?? 0
  }

  /** BLAKE2b-128 under c_i of label ‖ u64 i. */
  tag(chain: Uint32Array, index: number): Uint8Array {
    this.#words.set(chain, at.chain >> 2)
    this.#count(at.tagInput + labels.tag.length, index)
    this.#primitives.hash(this.#parts.tag, this.#parts.tagInput, this.#parts.chain)
    return this.#memory.slice(at.digest, at.digest + 16)
  }

  /** Leaves nothing of the last cell and its keys. */
  clear(): void {
    this.#memory.fill(0, 0, at.ivInput)
  }

  #count(offset: number, index: number): void {
    this.#view.setUint32(offset, Math.floor(index / 2 ** 32))
    this.#view.setUint32(offset + 4, index >>> 0)
  }
}

/** All bits for 0, none for another 32-bit number. */
const isZero = (value: number): number => ~((value | -value) >> 31)

/** One hop and one direction: four keys, the chain, and how many cells have passed. */
class ChainedLayer<Part> implements CellLayer {
  readonly #bench: Workbench<Part>
  readonly #keys: Uint32Array
  readonly #chain: Uint32Array
  #passed = 0
  #isWiped = false

  constructor(bench: Workbench<Part>, { keys, chain }: DirectionKeys) {
    this.#bench = bench
    this.#keys = wordsOf(keys, rounds * keyBytes)
    this.#chain = wordsOf(chain, keyBytes)
  }

  encrypt(command: CellCommand, body: Uint8Array): void {
    this.#begin(command, body)
    this.#encrypt(body)
  }

  originate(command: CellCommand, body: Uint8Array): void {
    this.#begin(command, body).mark()
    this.#encrypt(body)
  }

  decrypt(command: CellCommand, body: Uint8Array): void {
    const bench = this.#begin(command, body)
    bench.keep('output')
    bench.hashLeft(this.#keys, 3)
    bench.streamRight(this.#keys, 2)
    bench.hashLeft(this.#keys, 1)
    bench.streamRight(this.#keys, 0)
    bench.keep('input')
    bench.unmark()
    this.#end(body)
  }

  tag(): Uint8Array {
    this.#checkAlive()
    return this.#bench.tag(this.#chain, this.#passed)
  }

  wipe(): void {
    this.#isWiped = true
    this.#keys.fill(0)
    this.#chain.fill(0)
    this.#bench.clear()
  }

  #begin(command: CellCommand, body: Uint8Array): Workbench<Part> {
    this.#checkAlive()
    if (body.length !== cellSizes.body)
      throw new MeshError('MESSAGE_MALFORMED', { what: 'body of a cell', reason: `${body.length} bytes instead of ${cellSizes.body}` })
    this.#bench.load(body)
    this.#bench.begin(this.#chain, this.#passed, command)
    return this.#bench
  }

  #encrypt(body: Uint8Array): void {
    const bench = this.#bench
    bench.keep('input')
    bench.streamRight(this.#keys, 0)
    bench.hashLeft(this.#keys, 1)
    bench.streamRight(this.#keys, 2)
    bench.hashLeft(this.#keys, 3)
    bench.keep('output')
    this.#end(body)
  }

  #end(body: Uint8Array): void {
    this.#bench.advance(this.#chain)
    this.#bench.store(body)
    this.#passed += 1
  }

  /** Keys of zeros would hide nothing. */
  #checkAlive(): void {
    if (this.#isWiped) throw new MeshError('CIRCUIT_DESTROYED', { reason: 'its keys are forgotten' })
  }
}

/** A copy, as words in the order of this machine: they are only copied and XORed. */
function wordsOf(bytes: Uint8Array, length: number): Uint32Array {
  if (bytes.length !== length)
    throw new MeshError('KEY_INVALID', { what: 'key of a circuit', algorithm: 'cell cipher', reason: `${bytes.length} bytes instead of ${length}` })
  return new Uint32Array(new Uint8Array(bytes).buffer)
}

/** The cell cipher by @noble/ciphers and @noble/hashes: runs everywhere, and the others are held against it. */
export const nobleCells: CellCipher = makeCellCipher<Uint8Array>(noblePrimitives(new Uint8Array(cellMemoryBytes)))

function noblePrimitives(memory: Uint8Array): CellPrimitives<Uint8Array> {
  return {
    memory,
    part: (start, length) => memory.subarray(start, start + length),
    stream: (data, key, nonce) => chacha20(key, nonce, data, data),
    hash: (output, input, key) => blake2b.create({ key, dkLen: output.length }).update(input).digestInto(output)
  }
}
