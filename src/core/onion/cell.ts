import { type Bytes, concat, MeshError, type Random } from '../base/index.ts'
import { type Cell, type CellCommand, cellCommands, cellSizes, destroyReasons } from './types.ts'

/** The most cells of one frame. */
export const maxFrameCells = 63

const knownCommands: readonly (CellCommand | undefined)[] = Object.values(cellCommands).toSorted((a, b) => a - b)

/**
 * The bytes of one frame: 1 to 63 whole cells. Cells that lie one behind the other with room for their headers, as those of one frame of one circuit do,
 * become a frame where they are, and belong to it from then on; all others are copied.
 */
export function encodeCells(cells: readonly Cell[]): Uint8Array {
  const frame = frameOf(cells)
  if (frame === undefined) return copied(cells)
  for (const [index, cell] of cells.entries()) writeCellHeader(frame, index * cellSizes.cell, cell)
  return frame
}

/** The memory in which the cells lie one behind the other, headers included. */
function frameOf(cells: readonly Cell[]): Uint8Array | undefined {
  const [first] = cells
  if (first === undefined) return undefined
  const { buffer, byteOffset } = first.body
  let offset = byteOffset
  for (const { body, hasRoom } of cells) {
    if (hasRoom !== true || body.buffer !== buffer || body.byteOffset !== offset) return undefined
    offset += cellSizes.cell
  }
  return new Uint8Array(buffer, byteOffset - cellSizes.header, cells.length * cellSizes.cell)
}

function copied(cells: readonly Cell[]): Uint8Array {
  const frame = new Uint8Array(cells.length * cellSizes.cell)
  let offset = 0
  for (const cell of cells) {
    writeCellHeader(frame, offset, cell)
    frame.set(cell.body, offset + cellSizes.header)
    offset += cellSizes.cell
  }
  return frame
}

function writeCellHeader(frame: Uint8Array, offset: number, { circuit, command }: Cell): void {
  frame[offset] = circuit >>> 24
  frame[offset + 1] = (circuit >>> 16) & 255
  frame[offset + 2] = (circuit >>> 8) & 255
  frame[offset + 3] = circuit & 255
  frame[offset + 4] = command
  // Never what came in a frame that this one lies in.
  frame.fill(0, offset + 5, offset + cellSizes.header)
}

/**
 * The cells of a frame, in order. Their bodies are views of `frame`, which belongs to them from now on.
 * @throws {MeshError} MESSAGE_MALFORMED: not 1 to 63 whole cells, an unknown command, header bytes that are not zero, or a circuit where none belongs (and none where one does)
 */
export function decodeCells(frame: Uint8Array): readonly Cell[] {
  const count = frame.length / cellSizes.cell
  if (!Number.isInteger(count) || count < 1 || count > maxFrameCells) throw malformed(`${frame.length} bytes are not 1 to ${maxFrameCells} cells`, 0)
  const cells: Cell[] = []
  for (let offset = 0; offset < frame.length; offset += cellSizes.cell) cells.push(decodeCell(frame, offset))
  return cells
}

function decodeCell(frame: Uint8Array, offset: number): Cell {
  const byte = (index: number): number => frame[offset + index] ?? 0
  const circuit = ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0
  const command = knownCommands[byte(4)]
  if (command === undefined) throw malformed('unknown command', offset + 4)
  // O1: header flags are zero, and never copied: nothing rides from one relay to another beside the ciphers.
  if ((byte(5) | byte(6) | byte(7)) !== 0) throw malformed('header bytes that are not zero', offset + 5)
  const isOfLink = command === cellCommands.padding || command === cellCommands.link
  if ((circuit === 0) !== isOfLink) throw malformed('a circuit where none belongs, or none where one does', offset)
  return { circuit, command, body: frame.subarray(offset + cellSizes.header, offset + cellSizes.cell), hasRoom: true }
}

const malformed = (reason: string, offset: number): MeshError => new MeshError('MESSAGE_MALFORMED', { what: 'onion cells', reason, offset })

/** A number for a new circuit of a link: random, not 0, none that `isUsed`. */
export function chooseCircuit(random: Random, isUsed: (circuit: number) => boolean): number {
  for (;;) {
    const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4)
    const circuit = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
    if (circuit !== 0 && !isUsed(circuit)) return circuit
  }
}

/** The half of a handshake that a cell pair carries. */
export type HandshakeCommand = typeof cellCommands.create | typeof cellCommands.created

const handshakeBytes = (command: HandshakeCommand): number => (command === cellCommands.create ? cellSizes.create : cellSizes.created)

/** The two cells of a handshake's half: its first 1,016 bytes, then the rest with random padding. `bytes` has the size of its command. */
export function handshakeCells(
  circuit: number,
  half: { readonly command: HandshakeCommand; readonly bytes: Uint8Array },
  random: Random
): readonly Cell[] {
  const { command, bytes } = half
  const padding = random.bytes(2 * cellSizes.body - bytes.length)
  return [
    { circuit, command, body: bytes.slice(0, cellSizes.body) },
    { circuit, command, body: concat(bytes.subarray(cellSizes.body), padding) }
  ]
}

/** The half of a handshake out of the bodies of its two cells. */
export function joinHandshake(command: HandshakeCommand, first: Uint8Array, second: Uint8Array): Bytes {
  return concat(first, second).subarray(0, handshakeBytes(command))
}

/** The cell that ends a circuit. Its body is random but for the reason. */
export function destroyCell(circuit: number, reason: keyof typeof destroyReasons, random: Random): Cell {
  const body = random.bytes(cellSizes.body)
  body[0] = destroyReasons[reason]
  return { circuit, command: cellCommands.destroy, body }
}
