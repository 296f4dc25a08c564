import {
  type Cell,
  type CellCommand,
  cellCommands,
  cellSizes,
  CircuitEnd,
  decodeCells,
  decodeMessage,
  encodeCells,
  encodeMessage,
  MessageAssembler,
  packMessages,
  type RelayCommand,
  type RelayMessage
} from '../../src/core/onion/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { quickCrypto, thinCells, World } from '../core/onion/circuit-support.ts'
import { fuzzDecoder } from './fuzz.ts'

const random = new SeededRandom(9)
const plainCell = (command: CellCommand, circuit = 7): Cell => ({ circuit, command, body: new Uint8Array(cellSizes.body).fill(command) })

fuzzDecoder({
  name: 'onion cells',
  decode: (input) => decodeCells(input),
  encode: (value) => encodeCells(value as readonly Cell[]),
  valid: [
    encodeCells([plainCell(cellCommands.relay)]),
    encodeCells([
      plainCell(cellCommands.create),
      plainCell(cellCommands.create),
      plainCell(cellCommands.destroy, 0xffff_ffff),
      plainCell(cellCommands.link, 0)
    ])
  ]
})

const messages: readonly RelayMessage[] = [
  { type: 'extend', publicKey: new Uint8Array(32).fill(1), request: new Uint8Array(cellSizes.create).fill(2) },
  { type: 'extended', reply: new Uint8Array(cellSizes.created).fill(3) },
  { type: 'extendFailed', reason: 'timeout' },
  { type: 'sendme', tag: new Uint8Array(16).fill(4) },
  { type: 'ping', payload: new Uint8Array(8).fill(5) },
  { type: 'begin', stream: 1, protocol: 'pqs' },
  { type: 'connected', stream: 1 },
  { type: 'data', stream: 1, bytes: new Uint8Array(20).fill(6) },
  { type: 'end', stream: 1, reason: 0 },
  { type: 'xoff', stream: 1 }
]

fuzzDecoder({
  name: 'message of a circuit',
  decode: (input) => decodeMessage({ command: (input[0] ?? 0) as RelayCommand, data: input.subarray(1) }),
  encode: (value) => bytesOf(value as RelayMessage),
  valid: messages.map(bytesOf),
  codes: ['MESSAGE_MALFORMED']
})

function bytesOf(message: RelayMessage): Uint8Array {
  const { command, data } = encodeMessage(message)
  return Uint8Array.of(command, ...data)
}

/** The plain bytes of cells that carry messages. */
const plains = [messages.slice(0, 2), messages.slice(2), [...messages].reverse()].map((some) =>
  Buffer.concat(packMessages(some, random).map((body) => body.subarray(cellSizes.recognised)))
)

/** Bodies out of noise of any length: cut into cells, the last one filled up. */
function bodiesOf(input: Uint8Array): readonly Uint8Array[] {
  const bodies: Uint8Array[] = []
  for (let at = 0; at < Math.max(1, input.length); at += cellSizes.plain) {
    const body = new Uint8Array(cellSizes.body)
    body.set(input.subarray(at, at + cellSizes.plain), cellSizes.recognised)
    bodies.push(body)
  }
  return bodies
}

fuzzDecoder({
  name: 'messages in cells',
  decode: (input) => {
    const assembler = new MessageAssembler()
    return bodiesOf(input).map((body) => assembler.take(body, false))
  },
  valid: plains,
  codes: ['MESSAGE_MALFORMED']
})

const noLayers = { seal: () => undefined, sentTag: () => new Uint8Array(16), receivedTag: () => new Uint8Array(16) }

for (const role of ['relay', 'client'] as const) {
  const stream = (type: 'begin' | 'connected'): RelayMessage => (type === 'begin' ? { type, stream: 1, protocol: 'pqs' } : { type, stream: 1 })
  const said: readonly RelayMessage[] = [
    stream(role === 'relay' ? 'begin' : 'connected'),
    { type: 'data', stream: 1, bytes: new Uint8Array(1_500) },
    { type: 'xoff', stream: 1 },
    { type: 'ping', payload: new Uint8Array(8) },
    { type: 'end', stream: 1, reason: 0 }
  ]
  fuzzDecoder({
    name: `end of a circuit at a ${role}`,
    decode: (input) => {
      const end = new CircuitEnd({ role, layers: noLayers, random, ...(role === 'relay' ? { protocols: ['pqs'] } : {}) })
      if (role === 'client') end.open(1, 'pqs')
      for (const body of bodiesOf(input)) end.receive(cellCommands.relayEarly, body)
    },
    valid: [Buffer.concat(packMessages(said, random).map((body) => body.subarray(cellSizes.recognised)))],
    codes: ['MESSAGE_MALFORMED', 'CIRCUIT_VIOLATION']
  })
}

const circuitCodes = [
  'MESSAGE_MALFORMED',
  'CIRCUIT_VIOLATION',
  'CIRCUIT_INTEGRITY',
  'CIRCUIT_DESTROYED',
  'CIRCUIT_EXTEND_REFUSED',
  'CIRCUIT_HANDSHAKE_FAILED'
] as const

/** What a client makes of a frame while it adds its second hop; how the circuit ended is thrown. */
function feedClient(input: Uint8Array): void {
  const world = new World({ hops: 2, cryptoOf: (chance) => quickCrypto(chance, thinCells) }).build(1)
  world.failures.set(2, 'silent')
  world.build(2)
  for (const cell of decodeCells(input)) world.input({ type: 'cell', cell })
  const ended = world.outputs.find((output) => output.type === 'ended')
  if (ended?.type === 'ended' && ended.error !== undefined) throw ended.error
}

/** The answer that the client waits for, as its link brings it: made once, since the seed is the same. */
function answerOf(): Uint8Array {
  const world = new World({ hops: 2, cryptoOf: (chance) => quickCrypto(chance, thinCells) }).build(1)
  const cells: Cell[] = []
  world.intercept = (cell, { link, direction }) => {
    if (link === 0 && direction === 'backward') cells.push({ ...cell, body: cell.body.slice() })
    return [cell]
  }
  world.build(2)
  return encodeCells(cells)
}

fuzzDecoder({ name: 'cells towards a client', decode: feedClient, valid: [answerOf()], codes: circuitCodes, runs: 3_000 })
