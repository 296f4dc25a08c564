import { MeshError } from '../../src/core/base/index.ts'
import { decodeCells, destroyCell, encodeCells, handshakeCells } from '../../src/core/onion/cell.ts'
import { packMessages } from '../../src/core/onion/relay-messages.ts'
import { type PuzzleSolution, demandCell, demandIn, solutionCell, solutionIn } from '../../src/core/onion/puzzle-cells.ts'
import { cellCommands, cellSizes } from '../../src/core/onion/types.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { cheapCrypto } from '../core/onion/cheap-crypto.ts'
import { HandCircuit } from '../core/onion/hand-circuit.ts'
import { RelayWorld } from '../core/onion/relay-world.ts'
import { fuzzDecoder } from './fuzz.ts'

const random = new SeededRandom(1)
const open = { clientCreatesPerSecond: 1e9, clientCreateBurst: 1e9, clientLinkCircuits: 1e9, maxCircuits: 1e9, bytesPerSecond: 1e12 }

fuzzDecoder({
  name: 'demand of work on a link',
  decode: (input) => demandIn(input),
  valid: [demandCell({ seed: random.bytes(16), difficulty: 14 }, random).body.subarray(0, 18)]
})
const solution: PuzzleSolution = { seed: random.bytes(16), nonce: random.bytes(8) }
fuzzDecoder({
  name: 'solution of work on a link',
  decode: (input) => solutionIn(input),
  valid: [solutionCell(solution, random).body.subarray(0, 25)]
})

// A relay with a circuit on which anything may come: whatever it does, it throws nothing.
const frames = new RelayWorld(2)
const relay = frames.relay('relay', { limits: open })
const link = frames.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })
const { request } = cheapCrypto(new Uint8Array(32), random).begin(relay.target, 3)
fuzzDecoder({
  name: 'frame of cells at a relay',
  decode: (input) => {
    const cells = decodeCells(input)
    relay.input({ type: 'cells', link: link.link, cells })
    relay.input({ type: 'wake' })
    // CREATED from the opener ends the link, and a new one begins.
    if (relay.outputs.splice(0).some(({ type }) => type === 'close-link'))
      relay.input({ type: 'link', link: link.link, opener: 'peer', neighbour: { kind: 'client', prefix: '198.51.100.0/24' } })
    link.received.length = 0
    return cells
  },
  valid: [
    encodeCells(handshakeCells(7, { command: cellCommands.create, bytes: request }, random)),
    encodeCells([{ circuit: 7, command: cellCommands.relay, body: random.bytes(cellSizes.body) }]),
    encodeCells([destroyCell(7, 'none', random), { circuit: 7, command: cellCommands.relayEarly, body: random.bytes(cellSizes.body) }]),
    encodeCells([{ circuit: 9, command: cellCommands.created, body: random.bytes(cellSizes.body) }])
  ]
})

const messages = new RelayWorld(3)
const endpoint = messages.relay('endpoint', { limits: open })
const client = messages.outsider(endpoint, { kind: 'client', prefix: '198.51.100.0/24' })
let circuit = 0
fuzzDecoder({
  name: 'recognised cell at a relay',
  decode: (input) => {
    circuit += 1
    const hand = new HandCircuit(messages, { to: endpoint, outsider: client, circuit })
    hand.sendPlain(input)
    messages.settle()
    const isRefused = hand.isDestroyed
    if (!isRefused) client.send(destroyCell(circuit, 'none', random))
    client.received.length = 0
    endpoint.outputs.length = 0
    if (isRefused) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'noise' })
    return input
  },
  codes: ['CIRCUIT_VIOLATION'],
  valid: [
    ...packMessages(
      [
        { type: 'ping', payload: new Uint8Array(8) },
        { type: 'begin', stream: 1, protocol: 'pqs' },
        { type: 'data', stream: 1, bytes: random.bytes(300) },
        { type: 'end', stream: 1, reason: 0 }
      ],
      random
    ),
    ...packMessages([{ type: 'begin', stream: 9, protocol: 'card' }, { type: 'drop' }], random)
  ].map((body) => body.subarray(cellSizes.recognised))
})
