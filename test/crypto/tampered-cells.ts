import { type CellCipher, type CellCommand, type CellLayer, cellCommands, cellSizes, isRecognised } from '../../src/core/onion/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'

/** A cell on its way: what a relay may see and change of it. */
interface Cell {
  readonly command: CellCommand
  readonly body: Uint8Array
}

/** What happens to the cells of a game on one link. */
const faults = ['bits', 'byte of R', 'garbage', 'lost', 'repeated', 'replayed', 'swapped', 'relabelled', 'halves exchanged', 'zeros'] as const
type Fault = (typeof faults)[number]

/** What came of some games. */
export interface TamperReport {
  readonly games: number
  /** Cells that were altered, repeated, out of place … or came after such a one. */
  readonly cells: number
  /** How many of them some end or relay took for its own, or were the plain text that was sent. Must be 0. */
  readonly recognised: number
  /** How many times the tags of both ends still agreed. Must be 0. */
  readonly tags: number
  /** How many cells before the first fault were not recognised by their end. Must be 0. */
  readonly lostBefore: number
}

const cellsOfGame = 3

/** Both ends' layers of one direction of one circuit, the first hop first. */
interface Direction {
  readonly client: readonly CellLayer[]
  readonly relays: readonly CellLayer[]
}

/**
 * Plays `games` games with a seeded attacker: a circuit of 2 to 6 layers, three cells forward or backward, a fault at a random link of it.
 * Everything else is honest, and nobody ends the circuit: so much the worse for the cipher.
 */
export function tamper(cipher: CellCipher, games: number, seed: number): TamperReport {
  const random = new SeededRandom(seed)
  const total = { games, cells: 0, recognised: 0, tags: 0, lostBefore: 0 }
  for (let game = 0; game < games; game++) {
    const counts = play(cipher, random)
    total.cells += counts.cells
    total.recognised += counts.recognised
    total.tags += counts.tags
    total.lostBefore += counts.lostBefore
  }
  return total
}

function play(cipher: CellCipher, random: SeededRandom): Omit<TamperReport, 'games'> {
  const length = random.integer(2, 6)
  const isForward = random.chance(0.5)
  const direction = layers(cipher, random, length)
  // Links are counted from the client: link 0 leads to hop 0. The end is the last hop; the fault is before it, forward and backward.
  const link = random.integer(0, length - 1)
  const fault = random.pick(faults)
  const first = random.integer(0, cellsOfGame - 2)
  const plain = Array.from({ length: cellsOfGame }, () => random.bytes(cellSizes.body).fill(0, 0, cellSizes.recognised))
  const sent = plain.map((body): Cell => ({ command: random.pick([cellCommands.relay, cellCommands.relayEarly]), body: body.slice() }))
  const honest = isForward ? toLink(direction, sent, link) : fromEnd(direction, sent, link)
  const arriving = apply(fault, honest, { first, random })
  const results = isForward ? onToEnd(direction, arriving, link) : onToClient(direction, arriving, link)
  const isOwn = results.map(({ recognised, body }) => recognised || plain.some((each) => Buffer.compare(each, body) === 0))
  const last = length - 1
  const [clientEnd, relayEnd] = [direction.client[last], direction.relays[last]]
  const hasTag = clientEnd !== undefined && relayEnd !== undefined && Buffer.compare(clientEnd.tag(), relayEnd.tag()) === 0
  // A repeated cell is the first one that is wrong, not the one that it repeats.
  const intact = fault === 'repeated' ? first + 1 : first
  const after = isOwn.slice(intact)
  for (const layer of [...direction.client, ...direction.relays]) layer.wipe()
  return {
    cells: after.length,
    recognised: after.filter(Boolean).length,
    tags: hasTag ? 1 : 0,
    lostBefore: isOwn.slice(0, intact).filter((each) => !each).length
  }
}

function layers(cipher: CellCipher, random: SeededRandom, length: number): Direction {
  const keys = Array.from({ length }, () => ({ keys: random.bytes(128), chain: random.bytes(32) }))
  return { client: keys.map((each) => cipher.layer(each)), relays: keys.map((each) => cipher.layer(each)) }
}

/** Forward: the client takes off what the relays will put on, then the relays before the link put theirs on. */
function toLink({ client, relays }: Direction, cells: readonly Cell[], link: number): readonly Cell[] {
  for (const { command, body } of cells) {
    for (const layer of client.toReversed()) layer.decrypt(command, body)
    for (const layer of relays.slice(0, link)) layer.encrypt(command, body)
  }
  return cells
}

/** Forward, beyond the link: who recognises a cell that was not meant for him counts too. */
function onToEnd(
  { relays }: Direction,
  cells: readonly Cell[],
  link: number
): readonly { readonly recognised: boolean; readonly body: Uint8Array }[] {
  return cells.map(({ command, body }) => {
    let recognised = false
    for (const layer of relays.slice(link)) {
      layer.encrypt(command, body)
      recognised ||= isRecognised(body)
    }
    return { recognised, body }
  })
}

/** Backward: the end makes the cells, and the relays behind the link put their layers on. */
function fromEnd({ relays }: Direction, cells: readonly Cell[], link: number): readonly Cell[] {
  const [end, ...others] = relays.slice(link).toReversed()
  for (const { command, body } of cells) {
    end?.originate(command, body)
    for (const layer of others) layer.encrypt(command, body)
  }
  return cells
}

/** Backward, beyond the link: the other relays, then the client, who looks after each layer that it takes off. */
function onToClient(
  { client, relays }: Direction,
  cells: readonly Cell[],
  link: number
): readonly { readonly recognised: boolean; readonly body: Uint8Array }[] {
  return cells.map(({ command, body }) => {
    for (const layer of relays.slice(0, link).toReversed()) layer.encrypt(command, body)
    let recognised = false
    for (const layer of client) {
      layer.decrypt(command, body)
      recognised ||= isRecognised(body)
    }
    return { recognised, body }
  })
}

/** The cells as they go on after a fault at number `first`. */
function apply(fault: Fault, cells: readonly Cell[], { first, random }: { readonly first: number; readonly random: SeededRandom }): readonly Cell[] {
  const target = cells[first]
  const next = cells[first + 1]
  if (target === undefined || next === undefined) throw new RangeError('a fault needs two cells')
  const before = cells.slice(0, first)
  const after = cells.slice(first + 1)
  const copy = (body: Uint8Array = target.body): Cell => ({ command: target.command, body: body.slice() })
  if (fault === 'lost') return [...before, ...after]
  if (fault === 'repeated') return [...before, copy(), target, ...after]
  if (fault === 'replayed') return [...before, copy(cells[0]?.body === target.body ? next.body : cells[0]?.body), ...after]
  if (fault === 'swapped') return [...before, next, target, ...after.slice(1)]
  if (fault === 'relabelled') {
    const command = target.command === cellCommands.relay ? cellCommands.relayEarly : cellCommands.relay
    return [...before, { command, body: target.body }, ...after]
  }
  if (fault === 'garbage') return [...before, copy(random.bytes(cellSizes.body)), ...after]
  if (fault === 'zeros') return [...before, copy(new Uint8Array(cellSizes.body)), ...after]
  if (fault === 'halves exchanged') return [...before, copy(Buffer.concat([target.body.subarray(0, 32), next.body.subarray(32)])), ...after]
  // Up to three bytes in a row anywhere, or in the right half alone: the left one of this side then stays as it was.
  const body = target.body.slice()
  const place = random.integer(fault === 'bits' ? 0 : 32, cellSizes.body - 3)
  for (let offset = random.integer(0, 2); offset >= 0; offset--) body[place + offset] = (body[place + offset] ?? 0) ^ random.integer(1, 255)
  return [...before, copy(body), ...after]
}
