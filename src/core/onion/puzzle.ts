import { sha256 } from '@noble/hashes/sha2.js'
import { ByteWriter, MeshError, concat, utf8 } from '../base/index.ts'

/** Work that a relay asks for under load: hashcash (Back 2002) over SHA-256, of one relay and one demand. */
export interface Puzzle {
  /** The 32-byte identity key of the relay that asks, so that nobody can hand the work that was asked of him on to his own clients. */
  readonly relay: Uint8Array
  /** 16 random bytes, fresh for each demand. */
  readonly seed: Uint8Array
  /** Leading zero bits of the hash, 0 to 24: two to the power of it tries on average. */
  readonly difficulty: number
}

export const maxPuzzleDifficulty = 24

const label = utf8('synaptic-mesh/onion-puzzle/1')
const seedBytes = 16
const nonceBytes = 8

/** Whether a nonce of 8 bytes does the work. One hash; who asked takes care that a demand is paid once. */
export function isPuzzleSolved(puzzle: Puzzle, nonce: Uint8Array): boolean {
  if (nonce.length !== nonceBytes || puzzle.seed.length !== seedBytes) return false
  const input = concat(prefixOf(puzzle), nonce)
  return Math.clz32(firstWord(sha256(input))) >= puzzle.difficulty
}

/** Searches for a nonce, a slice at a time, so that whoever runs it is never held up for long. */
export class PuzzleSolver {
  readonly #difficulty: number
  /** The prefix and the nonce: one block of the hash. */
  readonly #input: Uint8Array<ArrayBuffer>
  readonly #view: DataView
  #next = 0

  /** @throws {MeshError} CIRCUIT_VIOLATION when more than 24 bits are asked, or less than none */
  constructor(puzzle: Puzzle) {
    const { difficulty } = puzzle
    if (!Number.isInteger(difficulty) || difficulty < 0 || difficulty > maxPuzzleDifficulty)
      throw new MeshError('CIRCUIT_VIOLATION', { reason: 'puzzle' })
    this.#difficulty = difficulty
    const prefix = prefixOf(puzzle)
    this.#input = concat(prefix, new Uint8Array(nonceBytes))
    this.#view = new DataView(this.#input.buffer, prefix.length)
  }

  /** How many nonces were tried. */
  get tries(): number {
    return this.#next
  }

  /** Tries up to `tries` nonces (about 1 µs each); the 8-byte solution when it is among them. */
  step(tries: number): Uint8Array | undefined {
    for (let left = tries; left > 0; left--) {
      this.#view.setUint32(0, Math.floor(this.#next / 2 ** 32))
      this.#view.setUint32(4, this.#next % 2 ** 32)
      this.#next += 1
      if (Math.clz32(firstWord(sha256(this.#input))) >= this.#difficulty) return this.#input.slice(-nonceBytes)
    }
    return undefined
  }
}

/** What all tries have in common, hashed once. */
const prefixOf = ({ relay, seed }: Puzzle): Uint8Array => sha256(new ByteWriter().raw(label).raw(relay).raw(seed).take())

const firstWord = (digest: Uint8Array): number =>
  (((digest[0] ?? 0) << 24) | ((digest[1] ?? 0) << 16) | ((digest[2] ?? 0) << 8) | (digest[3] ?? 0)) >>> 0
