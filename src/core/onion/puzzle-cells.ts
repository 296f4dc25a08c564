import { ByteReader, ByteWriter, type Random } from '../base/index.ts'
import { linkKinds } from './link-proof.ts'
import { type Cell, cellCommands, cellSizes } from './types.ts'

/** Work that a relay asks of a client's link before it takes another CREATE. */
export interface PuzzleDemand {
  /** 16 random bytes, of this link and this demand alone. */
  readonly seed: Uint8Array
  /** Leading zero bits that the hash must have, 0 to 24. */
  readonly difficulty: number
}

/** The work that was done. */
export interface PuzzleSolution {
  readonly seed: Uint8Array
  /** 8 bytes. */
  readonly nonce: Uint8Array
}

const seedBytes = 16
const nonceBytes = 8
const maxDifficulty = 24

/** The LINK cell that demands work: u8 2 ‖ 16-byte seed ‖ u8 difficulty ‖ random. */
export function demandCell({ seed, difficulty }: PuzzleDemand, random: Random): Cell {
  return linkCell(new ByteWriter(cellSizes.body).u8(linkKinds.puzzle).raw(seed).u8(difficulty), random)
}

/** The LINK cell that answers a demand: u8 3 ‖ 16-byte seed ‖ 8-byte nonce ‖ random. */
export function solutionCell({ seed, nonce }: PuzzleSolution, random: Random): Cell {
  return linkCell(new ByteWriter(cellSizes.body).u8(linkKinds.solution).raw(seed).raw(nonce), random)
}

/** The demand in the body of a LINK cell; undefined when it is another one. @throws {MeshError} MESSAGE_MALFORMED: more than 24 bits */
export function demandIn(body: Uint8Array): PuzzleDemand | undefined {
  const reader = new ByteReader(body, 'puzzle of a link')
  if (reader.u8() !== linkKinds.puzzle) return undefined
  const seed = reader.raw(seedBytes).slice()
  const difficulty = reader.u8()
  if (difficulty > maxDifficulty) throw reader.malformed(`${difficulty} bits of work`)
  return { seed, difficulty }
}

/** The solution in the body of a LINK cell; undefined when it is another one. */
export function solutionIn(body: Uint8Array): PuzzleSolution | undefined {
  const reader = new ByteReader(body, 'solution of a puzzle')
  return reader.u8() === linkKinds.solution ? { seed: reader.raw(seedBytes).slice(), nonce: reader.raw(nonceBytes).slice() } : undefined
}

function linkCell(start: ByteWriter, random: Random): Cell {
  const body = start.raw(random.bytes(cellSizes.body - start.length)).finish()
  return { circuit: 0, command: cellCommands.link, body }
}
