import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMeshError } from '../../../src/core/base/index.ts'
import { decodeMessage, encodeMessage, type RelayMessage } from '../../../src/core/onion/relay-message.ts'
import {
  type AssembledMessage,
  MessageAssembler,
  MessagePacker,
  messageHeaderBytes,
  packMessages,
  writeHeader
} from '../../../src/core/onion/relay-messages.ts'
import { cellSizes, relayCommands } from '../../../src/core/onion/types.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const random = new SeededRandom(1)
const plain = { noNullPrototype: true } as const
const exactly = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const stream = fc.integer({ min: 1, max: 65_535 })
const is = <Type extends string>(type: Type): fc.Arbitrary<Type> => fc.constant(type)

const message: fc.Arbitrary<RelayMessage> = fc.oneof(
  fc.record({ type: is('extend'), publicKey: exactly(32), request: exactly(cellSizes.create) }, plain),
  fc.record({ type: is('extended'), reply: exactly(cellSizes.created) }, plain),
  fc.record(
    {
      type: is('extendFailed'),
      reason: fc.constantFrom('unknown' as const, 'unreachable' as const, 'refused' as const, 'timeout' as const)
    },
    plain
  ),
  fc.record({ type: is('sendme'), tag: exactly(16) }, plain),
  fc.record({ type: fc.constantFrom('ping' as const, 'pong' as const), payload: exactly(8) }, plain),
  fc.record({ type: is('begin'), stream, protocol: fc.constantFrom('pqs', 'ü', 'x'.repeat(64)) }, plain),
  fc.record({ type: fc.constantFrom('connected' as const, 'xoff' as const, 'xon' as const), stream }, plain),
  fc.record({ type: is('data'), stream, bytes: fc.uint8Array({ maxLength: 4_000, size: 'max' }) }, plain),
  fc.record({ type: is('end'), stream, reason: fc.integer({ min: 0, max: 255 }) }, plain),
  is('drop').map((type) => ({ type }))
)

const carry = (bodies: readonly Uint8Array[], isEarly = false): readonly AssembledMessage[] => {
  const assembler = new MessageAssembler()
  return bodies.flatMap((body) => assembler.take(body, isEarly).messages)
}
const dataOf = (bytes: number): RelayMessage => ({ type: 'data', stream: 1, bytes: random.bytes(bytes) })
const room = cellSizes.plain - 3 - 2

test('messages are what was packed, in order, whatever their sizes', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
      const bodies = packMessages(messages, random)
      for (const body of bodies) {
        assert.equal(body.length, cellSizes.body)
        assert.deepEqual(body.subarray(0, cellSizes.recognised), new Uint8Array(cellSizes.recognised))
      }
      assert.deepEqual(
        carry(bodies).map((taken) => taken.message),
        messages
      )
    }),
    { numRuns: 200 }
  )
})

test('a message is exactly as long as its cells at every border', () => {
  for (let short = 0; short < 6; short++) {
    const messages = [dataOf(room - short), dataOf(short), dataOf(2 * cellSizes.plain)]
    assert.deepEqual(
      carry(packMessages(messages, random)).map((taken) => taken.message),
      messages
    )
  }
  assert.equal(packMessages([dataOf(room)], random).length, 1)
  assert.equal(packMessages([dataOf(room + 1)], random).length, 2)
})

test('a header is never split: a cell with less room than that ends before it', () => {
  for (const left of [1, 2]) {
    const [first, second] = packMessages([dataOf(room - left), { type: 'xoff', stream: 1 }], random)
    assert.equal(first?.[cellSizes.body - left], 0)
    assert.equal(second?.[cellSizes.recognised], relayCommands.xoff)
  }
})

test('EXTEND and EXTENDED take two cells each', () => {
  const extend: RelayMessage = { type: 'extend', publicKey: random.bytes(32), request: random.bytes(cellSizes.create) }
  assert.equal(packMessages([extend], random).length, 2)
  assert.equal(packMessages([{ type: 'extended', reply: random.bytes(cellSizes.created) }], random).length, 2)
})

test('a message is early when all of its cells were', () => {
  const extend: RelayMessage = { type: 'extend', publicKey: random.bytes(32), request: random.bytes(cellSizes.create) }
  const earlyOf = (pattern: readonly boolean[]): readonly boolean[] => {
    const assembler = new MessageAssembler()
    return packMessages([extend], random).flatMap((body, index) => assembler.take(body, pattern[index] ?? false).messages.map((taken) => taken.early))
  }
  assert.deepEqual(earlyOf([true, true]), [true])
  assert.deepEqual(earlyOf([true, false]), [false])
  assert.deepEqual(earlyOf([false, true]), [false])
})

test('each cell with a part of a DATA message counts as one, and no other', () => {
  const bodies = packMessages([dataOf(2 * cellSizes.plain), { type: 'end', stream: 1, reason: 0 }], random)
  const assembler = new MessageAssembler()
  assert.deepEqual(
    bodies.map((body) => assembler.take(body, false).carriesData),
    [true, true, true]
  )
  const [only] = packMessages([{ type: 'drop' }, { type: 'xon', stream: 1 }], random)
  assert.ok(only !== undefined)
  assert.equal(assembler.take(only, false).carriesData, false)
})

test('the packer says the same of its cells, and fills them with what comes by need', () => {
  const packer = new MessagePacker(random)
  packer.add({ type: 'xon', stream: 9 })
  assert.equal(packer.next().carriesData, false)
  packer.add({ type: 'xon', stream: 9 })
  const bytes = random.bytes(cellSizes.plain - 5 - 3 - 2)
  const places: number[] = []
  const cell = packer.next((body, at) => {
    places.push(at)
    const { command, data } = encodeMessage({ type: 'data', stream: 9, bytes })
    body.set(data, writeHeader(body, at, { command, length: data.length }))
    return at + messageHeaderBytes + data.length
  })
  assert.deepEqual(places, [cellSizes.recognised + 5])
  assert.equal(cell.carriesData, true)
  assert.deepEqual(
    carry([cell.body]).map((taken) => taken.message),
    [
      { type: 'xon', stream: 9 },
      { type: 'data', stream: 9, bytes }
    ]
  )
})

test('the rest of a cell is random', () => {
  const tails = [1, 2].map(() => packMessages([{ type: 'drop' }], random)[0]?.subarray(cellSizes.recognised + 4))
  assert.notDeepEqual(tails[0], tails[1])
  assert.ok(tails.every((tail) => new Set(tail).size > 200))
})

function refuses(bytes: readonly number[], reason: RegExp, maxBytes?: number): void {
  const body = new Uint8Array(cellSizes.body)
  body.set(bytes, cellSizes.recognised)
  assert.throws(
    () => new MessageAssembler(maxBytes).take(body, false),
    (error) => isMeshError(error, 'MESSAGE_MALFORMED') && reason.test(error.message)
  )
}

test('unknown messages and those of a wrong length are refused at their header', () => {
  refuses([99, 0, 0], /unknown command 99/)
  refuses([relayCommands.sendme, 0, 15], /15 bytes of sendme/)
  refuses([relayCommands.ping, 255, 255], /65535 bytes of ping/)
  refuses([relayCommands.begin, 0, 67], /67 bytes of begin/)
  refuses([relayCommands.data, 255, 255, 0, 1], /65535 over 2000/, 2_000)
})

test('what makes no sense in a message is refused', () => {
  refuses([relayCommands.connected, 0, 2, 0, 0], /stream 0/)
  refuses([relayCommands.extendFailed, 0, 1, 9], /reason 9/)
  refuses([relayCommands.begin, 0, 3, 0, 1, 0xff], /UTF-8/)
  assert.throws(() => decodeMessage({ command: relayCommands.extended, data: new Uint8Array(3) }), /3 bytes of extended/)
})

test('a header in the last two bytes of a cell is refused', () => {
  const [body] = packMessages([dataOf(room - 2)], random)
  assert.ok(body !== undefined)
  body[cellSizes.body - 2] = relayCommands.drop
  assert.throws(() => new MessageAssembler().take(body, false), /cut off/)
})
