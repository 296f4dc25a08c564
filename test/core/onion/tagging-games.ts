import { createHash, randomFillSync } from 'node:crypto'
import type { Random } from '../../../src/core/base/index.ts'
import {
  type Cell,
  type CellCipher,
  type CellCommand,
  cellCommands,
  type CellLayer,
  cellSizes,
  encodeCells,
  type HopTarget,
  isRecognised,
  type LayerKeys,
  type OnionCrypto
} from '../../../src/core/onion/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { type Meddle, type Place, RelayChain, type Way } from './relay-chain.ts'

/** Padding and the like, of which nothing depends: made at once, and cut. */
class FastRandom implements Random {
  readonly #pool = new Uint8Array(65_536)
  #at = this.#pool.length

  bytes(length: number): Uint8Array {
    if (this.#at + length > this.#pool.length) {
      randomFillSync(this.#pool)
      this.#at = 0
    }
    this.#at += length
    return this.#pool.slice(this.#at - length, this.#at)
  }
}

/** What of the cipher's work somebody took for his own: `hop` from 1, 0 = the client. */
export interface Recognition {
  readonly hop: number
  readonly body: Uint8Array
}

/** The layers of one circuit: cheap while it is built, the real ones from `arm` on. */
class ArmedCipher {
  readonly recognised: Recognition[] = []
  isArmed = false
  /** Sees each body as a member has it after its layer is off. */
  watch: (hop: number, body: Uint8Array) => void = () => undefined
  readonly #cipher: CellCipher

  constructor(cipher: CellCipher) {
    this.#cipher = cipher
  }

  /** That of one member; 0 = the client. Both ends make the forward layer of a hop before the backward one. */
  of(hop: number): CellCipher {
    let made = 0
    return {
      layer: (keys) => {
        const way: Way = made++ % 2 === 0 ? 'forward' : 'backward'
        const isEnd = hop === 0 ? way === 'backward' : way === 'forward'
        return this.#layer(this.#cipher.layer(keys), keys.keys.slice(0, cellSizes.recognised), isEnd ? hop : undefined)
      }
    }
  }

  #layer(real: CellLayer, mask: Uint8Array, hop: number | undefined): CellLayer {
    const step =
      (name: 'encrypt' | 'originate' | 'decrypt') =>
      (command: CellCommand, body: Uint8Array): void => {
        if (this.isArmed) real[name](command, body)
        else for (const [at, byte] of mask.entries()) body[at] = (body[at] ?? 0) ^ byte
        if (hop !== undefined) this.watch(hop, body)
        if (hop !== undefined && isRecognised(body)) this.recognised.push({ hop, body: body.slice() })
      }
    return { encrypt: step('encrypt'), originate: step('originate'), decrypt: step('decrypt'), tag: () => real.tag(), wipe: () => real.wipe() }
  }
}

/** A handshake that costs next to nothing, for games about what comes after it. */
export function gameCrypto(cipher: CellCipher, random: Random): OnionCrypto {
  const keysOf = (request: Uint8Array): LayerKeys => {
    const stream = new Uint8Array(createHash('shake256', { outputLength: 352 }).update(request.subarray(0, 32)).digest())
    const direction = (at: number): LayerKeys['forward'] => ({ keys: stream.slice(at, at + 128), chain: stream.slice(at + 128, at + 160) })
    return { forward: direction(0), backward: direction(160), binding: stream.slice(320) }
  }
  return {
    cipher,
    begin: () => {
      const request = random.bytes(cellSizes.create)
      return { request, finish: () => keysOf(request), abandon: () => undefined }
    },
    answer: (request) => ({ reply: random.bytes(cellSizes.created), keys: keysOf(request), level: 3 })
  }
}

export interface GameWorld {
  readonly chain: RelayChain
  readonly cipher: ArmedCipher
}

const fast = new FastRandom()

export interface GameOptions {
  /** Whatever padding is made of. */
  readonly random?: Random
  /** Sees every cell from the first one on. */
  readonly watch?: (cell: Cell, place: Place) => void
}

function makeWorld(cipher: CellCipher, relays: number, random: Random): GameWorld {
  const armed = new ArmedCipher(cipher)
  const members = Array.from({ length: relays + 1 }, (_, index) => {
    const publicKey = new Uint8Array(32).fill(index + 1)
    const target: HopTarget = { publicKey, onionKey: publicKey }
    return { target, crypto: gameCrypto(armed.of(index + 1), random) }
  })
  return { chain: new RelayChain({ members, client: gameCrypto(armed.of(0), random), random }), cipher: armed }
}

/** A circuit of so many relays and a destination with a stream, built and armed. */
export function gameWorld(cipher: CellCipher, relays: number, { random = fast, watch }: GameOptions = {}): GameWorld {
  const { chain, cipher: armed } = makeWorld(cipher, relays, random)
  if (watch !== undefined)
    chain.meddle = (cell, place) => {
      watch(cell, place)
      return [cell]
    }
  if (!chain.build()) throw new Error('the circuit is not built')
  armed.isArmed = true
  armed.recognised.length = 0
  return { chain, cipher: armed }
}

/** What a relay on the way may do to a cell, or to the bytes of its frame. */
const faults = [
  ...(['bits', 'a byte of R', 'random body', 'zeros', 'zeros in front', 'halves of two', 'lost', 'repeated', 'replayed', 'swapped'] as const),
  ...(['relabelled', 'another command', 'DESTROY', 'another circuit', 'header bytes', 'cut off'] as const)
] as const
type Fault = (typeof faults)[number]

/** What came of some games. */
export interface TaggingReport {
  readonly games: number
  /** Cells that were altered, or out of place, or came after such a one. */
  readonly cells: number
  /** How many of them anybody took for his own. Must be 0. */
  readonly recognised: number
  /** Bytes that arrived at an end of the stream though a cell before was not what it should be. Must be 0. */
  readonly delivered: number
  /** Games after which anybody had the circuit still. Must be 0. */
  readonly alive: number
  /** Cells before the fault that did not get through. Must be 0. */
  readonly lostBefore: number
}

const cellsOfGame = 4
const messageBytes = 900

/** Plays games with a seeded attacker at a random link of a circuit of 1 to 5 relays and a destination, over the real machines: each spoils one cell of four. */
export function playTagging(cipher: CellCipher, games: number, seed: number): TaggingReport {
  const random = new SeededRandom(seed)
  const total = { games, cells: 0, recognised: 0, delivered: 0, alive: 0, lostBefore: 0 }
  for (let index = 0; index < games; index++) {
    const game = playOne(cipher, random)
    total.cells += game.cells
    total.recognised += game.recognised
    total.delivered += game.delivered
    total.alive += game.alive
    total.lostBefore += game.lostBefore
  }
  return total
}

function playOne(cipher: CellCipher, random: SeededRandom): Omit<TaggingReport, 'games'> {
  const relays = random.integer(1, 5)
  const way = random.pick<Way>(['forward', 'backward'])
  const fault = random.pick(faults)
  const link = random.integer(0, relays)
  const first = random.integer(0, cellsOfGame - 2)
  const { chain, cipher: armed } = gameWorld(cipher, relays)
  chain.meddle = meddler(fault, { first, link, way, random })
  const before = received(chain, way)
  for (let cell = 0; cell < cellsOfGame; cell++) chain.write(way, fast.bytes(messageBytes))
  chain.settle()
  // A repeated cell is the first one that is wrong, not the one that it repeats.
  const intact = fault === 'repeated' ? first + 1 : first
  const own = armed.recognised.length
  return {
    cells: cellsOfGame - first,
    recognised: Math.max(0, own - intact),
    delivered: Math.max(0, received(chain, way) - before - intact * messageBytes),
    alive: hasEnded(chain, fault === 'DESTROY' ? { link, way } : undefined) ? 0 : 1,
    lostBefore: Math.max(0, intact - own)
  }
}

/** The same while a circuit is being built: how many of the games had one all the same, and how many had a part of it after everybody's time was over. */
export function playBuilding(cipher: CellCipher, games: number, seed: number): { readonly built: number; readonly alive: number } {
  const random = new SeededRandom(seed)
  let [built, alive] = [0, 0]
  for (let index = 0; index < games; index++) {
    const relays = random.integer(1, 5)
    // Cells of EXTEND on the way to the last hop but one, or of EXTENDED from there.
    const [way, link] = [random.pick<Way>(['forward', 'backward']), random.integer(0, relays - 1)]
    const fault = random.pick(faults.filter((each) => each !== 'DESTROY'))
    const { chain, cipher: armed } = makeWorld(cipher, relays, fast)
    armed.isArmed = true
    chain.meddle = meddler(fault, { first: random.integer(0, 2 * (relays - link) - 1), link, way, random })
    if (chain.build() && fault !== 'repeated') built++
    chain.wait(120_000)
    if (!hasEnded(chain, undefined)) alive++
  }
  return { built, alive }
}

/** Whether nobody has the circuit; with a place, nobody on the side to which that led: whoever ends a circuit there need not tell the other side. */
function hasEnded({ client, nodes }: RelayChain, to: Place | undefined): boolean {
  const isGone = nodes.map(({ counters }) => counters.circuits === 0)
  if (to === undefined) return client.hasEnded && isGone.every(Boolean)
  return to.way === 'forward' ? isGone.slice(to.link).every(Boolean) : client.hasEnded && isGone.slice(0, to.link).every(Boolean)
}

const received = (chain: RelayChain, way: Way): number => {
  const pieces = way === 'forward' ? chain.arrived : chain.outputs.flatMap((output) => (output.type === 'data' ? [output.bytes] : []))
  return pieces.reduce((all, { length }) => all + length, 0)
}

interface Meddling {
  /** The number of the cell to be spoilt, from 0, of those that pass. */
  readonly first: number
  readonly link: number
  readonly way: Way
  readonly random: SeededRandom
}

function meddler(fault: Fault, { first, link, way, random }: Meddling): Meddle {
  const passed: Cell[] = []
  let held: Cell | undefined
  return (cell, place) => {
    if (place.link !== link || place.way !== way || !isRelay(cell)) return [cell]
    const number = passed.length
    passed.push({ ...cell, body: cell.body.slice() })
    if (held !== undefined) {
      const kept = held
      held = undefined
      return fault === 'swapped' ? [cell, kept] : [{ ...kept, body: Buffer.concat([kept.body.subarray(0, 32), cell.body.subarray(32)]) }, cell]
    }
    if (number !== first) return [cell]
    if (fault === 'swapped' || fault === 'halves of two') {
      held = cell
      return []
    }
    return spoil(fault, cell, { before: passed[0], random })
  }
}

export const isRelay = ({ command }: Cell): boolean => command === cellCommands.relay || command === cellCommands.relayEarly

function spoil(
  fault: Exclude<Fault, 'swapped' | 'halves of two'>,
  cell: Cell,
  { before, random }: { readonly before: Cell | undefined; readonly random: SeededRandom }
): readonly (Cell | Uint8Array)[] {
  const { body } = cell
  switch (fault) {
    case 'bits':
      // A bit that is flipped twice is as it was.
      for (const bit of new Set(Array.from({ length: random.integer(1, 8) }, () => random.integer(0, body.length * 8 - 1))))
        flip(body, bit >> 3, 1 << (bit & 7))
      return [cell]
    case 'a byte of R':
      flip(body, random.integer(32, body.length - 1), random.integer(1, 255))
      return [cell]
    case 'random body':
      return [{ ...cell, body: random.bytes(cellSizes.body) }]
    case 'zeros':
      return [{ ...cell, body: new Uint8Array(cellSizes.body) }]
    case 'zeros in front':
      body.fill(0, 0, random.integer(8, cellSizes.recognised))
      return [cell]
    case 'lost':
      return []
    case 'repeated':
      return [{ ...cell, body: body.slice() }, cell]
    case 'replayed':
      return [before === undefined || before.body.every((byte, at) => byte === body[at]) ? { ...cell, body: random.bytes(cellSizes.body) } : before]
    case 'relabelled':
      return [{ ...cell, command: cell.command === cellCommands.relay ? cellCommands.relayEarly : cellCommands.relay }]
    default:
      return [spoiltFrame(fault, cell, random)]
  }
}

/** The bytes of a cell with a header that is not what it should be, or too few of them. */
function spoiltFrame(
  fault: 'another command' | 'DESTROY' | 'another circuit' | 'header bytes' | 'cut off',
  cell: Cell,
  random: SeededRandom
): Uint8Array {
  const frame = encodeCells([cell])
  if (fault === 'another command') frame[4] = random.pick([0, 1, 2, 6, 7, 255])
  else if (fault === 'DESTROY') frame[4] = cellCommands.destroy
  else if (fault === 'another circuit') flip(frame, random.integer(0, 3), random.integer(1, 255))
  else if (fault === 'header bytes') flip(frame, random.integer(5, 7), random.integer(1, 255))
  return fault === 'cut off' ? frame.subarray(0, random.integer(1, frame.length - 1)) : frame
}

function flip(bytes: Uint8Array, at: number, mask: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ mask
}
