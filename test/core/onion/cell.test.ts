import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMeshError } from '../../../src/core/base/index.ts'
import { chooseCircuit, decodeCells, destroyCell, encodeCells, handshakeCells, joinHandshake, maxFrameCells } from '../../../src/core/onion/cell.ts'
import { type Cell, cellCommands, cellSizes } from '../../../src/core/onion/types.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const random = new SeededRandom(1)
const plain = { noNullPrototype: true } as const
const commandOfCircuit = fc.constantFrom(cellCommands.create, cellCommands.created, cellCommands.relay, cellCommands.relayEarly, cellCommands.destroy)
const body = fc.uint8Array({ minLength: cellSizes.body, maxLength: cellSizes.body })
const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.record({ circuit: fc.integer({ min: 1, max: 2 ** 32 - 1 }), command: commandOfCircuit, body }, plain),
  fc.record({ circuit: fc.constant(0), command: fc.constantFrom(cellCommands.padding, cellCommands.link), body }, plain)
)

const bare = ({ circuit, command, body: bytes }: Cell): Cell => ({ circuit, command, body: bytes })

test('cells are what was put into their frame', () => {
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1, maxLength: maxFrameCells }), (cells) => {
      const frame = encodeCells(cells)
      assert.equal(frame.length, cells.length * cellSizes.cell)
      assert.deepEqual(decodeCells(frame).map(bare), cells)
    }),
    { numRuns: 30 }
  )
})

test('cells that lie one behind the other become a frame where they are, with headers of their own', () => {
  const [came, expected] = [Array.from({ length: 5 }, relayCell), random.bytes(5 * cellSizes.cell)]
  const cells = decodeCells(encodeCells(came)).map(({ command, body: bytes, hasRoom }, index) => ({
    circuit: index + 1,
    command,
    body: bytes,
    hasRoom
  }))
  cells.forEach(({ command, body: bytes }, index) => {
    expected.set([0, 0, 0, index + 1, command, 0, 0, 0], index * cellSizes.cell)
    expected.set(bytes, index * cellSizes.cell + cellSizes.header)
  })
  const some = encodeCells(cells.slice(1, 4))
  assert.equal(some.buffer, cells[0]?.body.buffer)
  assert.deepEqual(Buffer.from(some), Buffer.from(expected.subarray(cellSizes.cell, 4 * cellSizes.cell)))
})

test('all other cells are copied, and their memory stays as it is', () => {
  const frame = encodeCells(Array.from({ length: 3 }, relayCell))
  const [a, b, c] = decodeCells(frame)
  const foreign = decodeCells(encodeCells([relayCell()]))[0]
  assert.ok(a && b && c && foreign)
  const before = frame.slice()
  for (const cells of [
    [a, c],
    [b, a],
    [a, a],
    [a, { ...b, hasRoom: false }],
    [a, foreign]
  ]) {
    const made = encodeCells(cells.map((each) => ({ ...each, circuit: 7 })))
    assert.notEqual(made.buffer, frame.buffer)
    assert.deepEqual(
      decodeCells(made).map(bare),
      cells.map((each) => ({ ...bare(each), circuit: 7 }))
    )
  }
  assert.deepEqual(frame, before)
})

const relayCell = (): Cell => ({ circuit: 0xfffefdfc, command: cellCommands.relay, body: random.bytes(cellSizes.body) })

function refuses(frame: Uint8Array, reason: RegExp): void {
  assert.throws(
    () => decodeCells(frame),
    (error) => isMeshError(error, 'MESSAGE_MALFORMED') && reason.test(error.message)
  )
}

test('a frame of no cell, of half a cell, and of 64 cells is refused', () => {
  refuses(new Uint8Array(), /0 bytes/)
  refuses(encodeCells([relayCell()]).subarray(1), /1023 bytes/)
  refuses(new Uint8Array(64 * cellSizes.cell), /65536 bytes/)
})

test('header bytes that are not zero are refused, wherever they stand', () => {
  for (const at of [5, 6, 7, cellSizes.cell + 5]) {
    const frame = encodeCells([relayCell(), relayCell()])
    frame[at] = 1
    refuses(frame, /not zero/)
  }
})

test('an unknown command is refused', () => {
  for (const command of [7, 8, 255]) {
    const frame = encodeCells([relayCell()])
    frame[4] = command
    refuses(frame, /unknown command/)
  }
})

test('cells of the link have no circuit, all others have one', () => {
  refuses(encodeCells([{ ...relayCell(), circuit: 0 }]), /a circuit/)
  refuses(encodeCells([{ ...relayCell(), command: cellCommands.link }]), /a circuit/)
  refuses(encodeCells([{ ...relayCell(), command: cellCommands.padding }]), /a circuit/)
})

test('both halves of a handshake travel in two cells of one size, whose padding is random', () => {
  for (const [command, size] of [
    [cellCommands.create, cellSizes.create],
    [cellCommands.created, cellSizes.created]
  ] as const) {
    const bytes = random.bytes(size)
    const [first, second] = handshakeCells(7, { command, bytes }, random)
    assert.ok(first !== undefined && second !== undefined)
    for (const { circuit, command: said, body: of } of [first, second]) {
      assert.deepEqual([circuit, said, of.length], [7, command, cellSizes.body])
    }
    assert.deepEqual(joinHandshake(command, first.body, second.body), bytes)
    assert.notDeepEqual(second.body, handshakeCells(7, { command, bytes }, random)[1]?.body)
  }
})

test('DESTROY says its reason and nothing else', () => {
  const [none, destroyed] = [destroyCell(5, 'none', random), destroyCell(5, 'destroyed', random)]
  assert.deepEqual([none.circuit, none.command, none.body[0], destroyed.body[0]], [5, cellCommands.destroy, 0, 1])
  assert.notDeepEqual(none.body.subarray(1), destroyed.body.subarray(1))
})

test('a new circuit gets a number that is neither 0 nor used', () => {
  const answers = [0, 0x01020304, 0xfffffffe]
  const bytes = (): Uint8Array => {
    const next = answers.shift() ?? 0
    return Uint8Array.of(next >>> 24, (next >>> 16) & 255, (next >>> 8) & 255, next & 255)
  }
  assert.equal(
    chooseCircuit({ bytes }, (circuit) => circuit === 0x01020304),
    0xfffffffe
  )
})
