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
export const tamper = (cipher: CellCipher, games: number, seed: number): TamperReport =>
  played(games, seed, (random) => {
    const length = random.integer(2, 6)
    const link = random.integer(0, length - 1)
    const fault = random.pick(faults)
    const first = random.integer(0, cellsOfGame - 2)
    const alter = (cells: readonly Cell[]): readonly Cell[] => apply(fault, cells, { first, random })
    // A repeated cell is the first one that is wrong, not the one that it repeats.
    return play(cipher, random, { length, changes: new Map([[link, alter]]), intact: fault === 'repeated' ? first + 1 : first })
  })

/** What two attackers with honest relays between them do: the one alters, the other tries to undo it. */
const pacts = ['xor', 'swap', 'drop and fill', 'repeat and remove', 'replace twice'] as const

/** The same with two attackers on one circuit, at least one honest relay between them. */
export const collude = (cipher: CellCipher, games: number, seed: number): TamperReport =>
  played(games, seed, (random) => {
    const length = random.integer(2, 6)
    const near = random.integer(0, length - 2)
    const far = random.integer(near + 1, length - 1)
    const pact = random.pick(pacts)
    const first = random.integer(0, cellsOfGame - 2)
    const [alter, undo] = pactOf(pact, { first, random })
    const isForward = random.chance(0.5)
    const changes = new Map([
      [isForward ? near : far, alter],
      [isForward ? far : near, undo]
    ])
    return play(cipher, random, { length, isForward, changes, intact: pact === 'repeat and remove' ? first + 1 : first })
  })

type Counts = Omit<TamperReport, 'games'>
type Change = (cells: readonly Cell[]) => readonly Cell[]

function played(games: number, seed: number, game: (random: SeededRandom) => Counts): TamperReport {
  const random = new SeededRandom(seed)
  const total = { games, cells: 0, recognised: 0, tags: 0, lostBefore: 0 }
  for (let index = 0; index < games; index++) {
    const counts = game(random)
    total.cells += counts.cells
    total.recognised += counts.recognised
    total.tags += counts.tags
    total.lostBefore += counts.lostBefore
  }
  return total
}

interface Game {
  readonly length: number
  readonly isForward?: boolean
  /** By link, counted from the client: link 0 leads to hop 0, and the last hop is the end. */
  readonly changes: ReadonlyMap<number, Change>
  /** How many cells come before the first that is wrong. */
  readonly intact: number
}

function play(cipher: CellCipher, random: SeededRandom, { length, isForward = random.chance(0.5), changes, intact }: Game): Counts {
  const direction = layers(cipher, random, length)
  const plain = Array.from({ length: cellsOfGame }, () => random.bytes(cellSizes.body).fill(0, 0, cellSizes.recognised))
  const sent = plain.map((body): Cell => ({ command: random.pick([cellCommands.relay, cellCommands.relayEarly]), body: body.slice() }))
  const arrived = (isForward ? forward : backward)(direction, sent, changes)
  const isOwn = arrived.map(({ recognised, body }) => recognised || plain.some((each) => Buffer.compare(each, body) === 0))
  const [clientEnd, relayEnd] = [direction.client[length - 1], direction.relays[length - 1]]
  const hasTag = clientEnd !== undefined && relayEnd !== undefined && Buffer.compare(clientEnd.tag(), relayEnd.tag()) === 0
  for (const layer of [...direction.client, ...direction.relays]) layer.wipe()
  const wrong = isOwn.slice(intact)
  return {
    cells: wrong.length,
    recognised: wrong.filter(Boolean).length,
    tags: hasTag ? 1 : 0,
    lostBefore: isOwn.slice(0, intact).filter((each) => !each).length
  }
}

function layers(cipher: CellCipher, random: SeededRandom, length: number): Direction {
  const keys = Array.from({ length }, () => ({ keys: random.bytes(128), chain: random.bytes(32) }))
  return { client: keys.map((each) => cipher.layer(each)), relays: keys.map((each) => cipher.layer(each)) }
}

interface Arrived {
  readonly recognised: boolean
  readonly body: Uint8Array
}

/** The client takes off what the relays will put on. Who recognises a cell that was not meant for him counts too. */
function forward({ client, relays }: Direction, sent: readonly Cell[], changes: ReadonlyMap<number, Change>): readonly Arrived[] {
  for (const { command, body } of sent) for (const layer of client.toReversed()) layer.decrypt(command, body)
  const last = relays.length - 1
  const early = new Set<Uint8Array>()
  let cells = sent
  for (const [link, layer] of relays.entries()) {
    cells = changes.get(link)?.(cells) ?? cells
    for (const { command, body } of cells) {
      layer.encrypt(command, body)
      if (link < last && isRecognised(body)) early.add(body)
    }
  }
  return cells.map(({ body }) => ({ recognised: early.has(body) || isRecognised(body), body }))
}

/** The end makes the cells, the relays put their layers on; the client looks after each that it takes off. */
function backward({ client, relays }: Direction, sent: readonly Cell[], changes: ReadonlyMap<number, Change>): readonly Arrived[] {
  const last = relays.length - 1
  let cells = sent
  for (const [link, layer] of [...relays.entries()].toReversed()) {
    for (const { command, body } of cells) layer[link === last ? 'originate' : 'encrypt'](command, body)
    cells = changes.get(link)?.(cells) ?? cells
  }
  return cells.map(({ command, body }) => {
    let recognised = false
    for (const layer of client) {
      layer.decrypt(command, body)
      recognised ||= isRecognised(body)
    }
    return { recognised, body }
  })
}

interface Chance {
  readonly first: number
  readonly random: SeededRandom
}

/** What the first attacker does, and the second. */
function pactOf(pact: (typeof pacts)[number], { first, random }: Chance): readonly [Change, Change] {
  const garbage = (command: CellCommand): Cell => ({ command, body: random.bytes(cellSizes.body) })
  const noise = random.bytes(cellSizes.body)
  const xor: Change = (cells) => {
    for (const [index, byte] of noise.entries()) {
      const body = cells[first]?.body
      if (body !== undefined) body[index] = (body[index] ?? 0) ^ byte
    }
    return cells
  }
  const swap: Change = (cells) =>
    cells.with(first, cells[first + 1] ?? garbage(cellCommands.relay)).with(first + 1, cells[first] ?? garbage(cellCommands.relay))
  const replace: Change = (cells) => cells.with(first, garbage(cellCommands.relay))
  const copied = ({ command, body }: Cell): Cell => ({ command, body: body.slice() })
  switch (pact) {
    case 'xor':
      return [xor, xor]
    case 'swap':
      return [swap, swap]
    case 'drop and fill':
      return [(cells) => cells.toSpliced(first, 1), (cells) => cells.toSpliced(first, 0, garbage(cellCommands.relay))]
    case 'repeat and remove':
      return [(cells) => cells.toSpliced(first, 0, ...cells.slice(first, first + 1).map(copied)), (cells) => cells.toSpliced(first + 1, 1)]
    case 'replace twice':
      return [replace, replace]
  }
}

/** The cells as they go on after a fault at number `first`. */
function apply(fault: Fault, cells: readonly Cell[], { first, random }: Chance): readonly Cell[] {
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
