import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ErrorCode, isMeshError } from '../../../src/core/base/index.ts'
import { CircuitEnd, type EndOutput, type RelayCellCommand } from '../../../src/core/onion/circuit-end.ts'
import { ReceiveWindow, SendWindow } from '../../../src/core/onion/flow-window.ts'
import type { RelayMessage } from '../../../src/core/onion/relay-message.ts'
import { packMessages } from '../../../src/core/onion/relay-messages.ts'
import { streamLimits } from '../../../src/core/onion/stream-mux.ts'
import { cellCommands, cellSizes, circuitWindow } from '../../../src/core/onion/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { sameBytes } from './circuit-support.ts'

const random = new SeededRandom(3)

/** One end without layers: tags count cells. */
class Side {
  readonly end: CircuitEnd
  readonly events: Exclude<EndOutput, { readonly type: 'cell' }>[] = []
  readonly cells: { readonly command: RelayCellCommand; readonly body: Uint8Array }[] = []
  #sent = 0
  #received = 0

  constructor(role: 'client' | 'relay', protocols: readonly string[] = ['pqs']) {
    const tag = (count: number): Uint8Array => new Uint8Array(16).fill(count)
    const layers = { seal: () => void this.#sent++, sentTag: () => tag(this.#sent), receivedTag: () => tag(this.#received) }
    this.end = new CircuitEnd({ role, layers, random, ...(role === 'relay' ? { protocols } : {}) })
  }

  take(outputs: readonly EndOutput[]): this {
    for (const output of outputs) {
      if (output.type === 'cell') this.cells.push(output)
      else this.events.push(output)
    }
    return this
  }

  receive(command: RelayCellCommand, body: Uint8Array): void {
    this.#received++
    this.take(this.end.receive(command, body))
  }

  /** Receives messages that no honest end would send. */
  receiveMessages(...messages: readonly RelayMessage[]): void {
    for (const body of packMessages(messages, random)) this.receive(cellCommands.relay, body)
  }

  /** All bytes of a stream that came. */
  bytes(stream: number): Uint8Array {
    return Buffer.concat(this.events.flatMap((event) => (event.type === 'data' && event.stream === stream ? [event.bytes] : [])))
  }
}

/** Carries cells until both sides are quiet, or `count` of one side's. */
function carry(from: Side, to: Side, count = Number.POSITIVE_INFINITY): number {
  let carried = 0
  for (; carried < count; carried++) {
    const cell = from.cells.shift()
    if (cell === undefined) break
    to.receive(cell.command, cell.body)
  }
  return carried
}

function settle(a: Side, b: Side): void {
  while (carry(a, b) + carry(b, a) > 0);
}

function pair(protocols?: readonly string[]): { readonly client: Side; readonly relay: Side } {
  return { client: new Side('client'), relay: new Side('relay', protocols) }
}

function opened(streams = 1): { readonly client: Side; readonly relay: Side } {
  const sides = pair()
  for (let stream = 1; stream <= streams; stream++) sides.client.take(sides.client.end.open(stream, 'pqs'))
  settle(sides.client, sides.relay)
  sides.client.events.length = 0
  sides.relay.events.length = 0
  return sides
}

const fails = (run: () => void, reason: RegExp, code: ErrorCode = 'CIRCUIT_VIOLATION'): void =>
  assert.throws(run, (error) => isMeshError(error, code) && reason.test(error.message))

test('a stream is opened, connected, written to and ended by both', () => {
  const { client, relay } = pair()
  client.take(client.end.open(1, 'pqs')).take(client.end.write(1, Uint8Array.of(1, 2)))
  settle(client, relay)
  assert.deepEqual(relay.events, [
    { type: 'begin', stream: 1, protocol: 'pqs' },
    { type: 'data', stream: 1, bytes: Uint8Array.of(1, 2) }
  ])
  relay.take(relay.end.write(1, Uint8Array.of(3))).take(relay.end.end(1, 'done'))
  client.take(client.end.end(1, 'done'))
  settle(client, relay)
  assert.deepEqual(client.events, [
    { type: 'connected', stream: 1 },
    { type: 'data', stream: 1, bytes: Uint8Array.of(3) },
    { type: 'end', stream: 1, reason: 'done' }
  ])
  assert.deepEqual(relay.events.at(-1), { type: 'end', stream: 1, reason: 'done' })
  assert.deepEqual([client.end.streams, relay.end.streams], [0, 0])
})

test('what was written before the end arrives before the end, through a closed window too', () => {
  const { client, relay } = opened()
  const bytes = random.bytes(500_000)
  client.take(client.end.write(1, bytes)).take(client.end.end(1, 'done'))
  assert.equal(client.cells.length, circuitWindow.cells)
  for (;;) {
    if (carry(client, relay, 40) + carry(relay, client) === 0) break
    relay.take(relay.end.consumed(1, 40 * cellSizes.plain))
  }
  sameBytes(relay.bytes(1), bytes)
  assert.deepEqual(relay.events.at(-1), { type: 'end', stream: 1, reason: 'done' })
})

test('a protocol that is not served is refused, and so is any stream of a relay that is no endpoint', () => {
  for (const { protocols, protocol } of [
    { protocols: ['pqs'], protocol: 'http' },
    { protocols: [], protocol: 'pqs' }
  ]) {
    const { client, relay } = pair(protocols)
    client.take(client.end.open(1, protocol)).take(client.end.write(1, new Uint8Array(600)))
    settle(client, relay)
    assert.deepEqual(relay.events, [])
    assert.deepEqual(client.events, [{ type: 'end', stream: 1, reason: 'refused' }])
    assert.equal(client.end.streams, 0)
  }
})

test('no more than 8 streams are open at one time', () => {
  const { client, relay } = opened(streamLimits.streams)
  client.take(client.end.open(9, 'pqs'))
  settle(client, relay)
  assert.deepEqual(client.events, [{ type: 'end', stream: 9, reason: 'refused' }])
  client.take(client.end.end(1, 'broken')).take(client.end.open(10, 'pqs'))
  settle(client, relay)
  assert.deepEqual(client.events.at(-1), { type: 'connected', stream: 10 })
  assert.equal(relay.end.streams, streamLimits.streams)
})

test('a stream that is broken off is gone at once, and what is still under way for it is forgotten', () => {
  const { client, relay } = opened()
  client.take(client.end.write(1, new Uint8Array(5_000)))
  relay.take(relay.end.end(1, 'broken'))
  settle(client, relay)
  assert.deepEqual(client.events, [{ type: 'end', stream: 1, reason: 'broken' }])
  assert.deepEqual(relay.events, [])
  client.take(client.end.write(1, new Uint8Array(10))).take(client.end.end(1, 'done'))
  assert.equal(client.cells.length, 0)
})

test('a client numbers its streams upwards, to 65,535', () => {
  const { client } = opened(2)
  for (const stream of [2, 1, 0, 65_536]) fails(() => client.end.open(stream, 'pqs'), /after stream 2/, 'INTERNAL')
  client.take(client.end.open(65_535, 'pqs'))
})

test('streams take turns', () => {
  const { client, relay } = opened(3)
  client.take(client.end.write(1, new Uint8Array(400_000)))
  for (const stream of [2, 3]) client.take(client.end.write(stream, new Uint8Array(400_000)))
  carry(client, relay)
  carry(relay, client)
  relay.events.length = 0
  carry(client, relay)
  const cellsOf = (stream: number): number => relay.events.filter((event) => event.type === 'data' && event.stream === stream).length
  assert.ok(Math.abs(cellsOf(2) - cellsOf(3)) <= 1 && Math.abs(cellsOf(1) - cellsOf(2)) <= 1, [1, 2, 3].map(cellsOf).join())
})

test('a reader that does not read stops the writer, and lets it go on', () => {
  const { client, relay } = opened()
  const bytes = random.bytes(2_000_000)
  client.take(client.end.write(1, bytes))
  settle(client, relay)
  const held = relay.bytes(1).length
  assert.ok(held > streamLimits.xoffBytes && held < streamLimits.xoffBytes + 300_000, `${held} bytes are held`)
  relay.take(relay.end.consumed(1, held - streamLimits.xonBytes))
  assert.equal(relay.cells.length, 0)
  relay.take(relay.end.consumed(1, 1))
  settle(client, relay)
  assert.ok(relay.bytes(1).length > held)
})

test('a writer that goes on after XOFF breaks the rules', () => {
  const { relay } = opened()
  const data: RelayMessage = { type: 'data', stream: 1, bytes: new Uint8Array(60_000) }
  fails(() => relay.receiveMessages(...Array.from({ length: 20 }, () => data)), /DATA after XOFF/)
})

test('whoever writes is told when much waits, and when it may go on', () => {
  const { client, relay } = opened()
  client.take(client.end.write(1, random.bytes(400_000)))
  assert.deepEqual(client.events, [{ type: 'full', stream: 1 }])
  client.take(client.end.write(1, random.bytes(100_000)))
  assert.equal(client.events.length, 1)
  carry(client, relay)
  carry(relay, client)
  assert.deepEqual(client.events, [
    { type: 'full', stream: 1 },
    { type: 'drained', stream: 1 }
  ])
})

test('a ping comes back with its bytes', () => {
  const { client, relay } = pair([])
  client.take(client.end.send({ type: 'ping', payload: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }))
  settle(client, relay)
  assert.deepEqual(client.events, [{ type: 'pong', payload: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }])
})

test('EXTEND goes out in RELAY_EARLY, and is taken in RELAY_EARLY only', () => {
  const extend: RelayMessage = { type: 'extend', publicKey: random.bytes(32), request: random.bytes(cellSizes.create) }
  const { client, relay } = pair([])
  client.take(client.end.send(extend))
  assert.deepEqual(
    client.cells.map(({ command }) => command),
    [cellCommands.relayEarly, cellCommands.relayEarly]
  )
  carry(client, relay)
  assert.deepEqual(relay.events, [{ type: 'message', message: extend }])
  client.take(client.end.send(extend))
  const [first, second] = client.cells
  assert.ok(first !== undefined && second !== undefined)
  relay.receive(cellCommands.relayEarly, first.body)
  fails(() => relay.receive(cellCommands.relay, second.body), /outside of RELAY_EARLY/)
})

test('nothing but a relay answers, and nothing but a client asks', () => {
  const reply: RelayMessage = { type: 'extended', reply: new Uint8Array(cellSizes.created) }
  const extend: RelayMessage = { type: 'extend', publicKey: new Uint8Array(32), request: new Uint8Array(cellSizes.create) }
  fails(() => new Side('relay').receiveMessages(reply), /extended in the wrong direction/)
  fails(() => new Side('relay').receiveMessages({ type: 'extendFailed', reason: 'refused' }), /wrong direction/)
  fails(() => new Side('client').receiveMessages(extend), /wrong direction/)
  fails(() => new Side('client').receiveMessages({ type: 'begin', stream: 1, protocol: 'pqs' }), /BEGIN towards a client/)
  fails(() => opened().relay.receiveMessages({ type: 'connected', stream: 1 }), /CONNECTED towards a relay/)
})

test('streams that were never opened, opened twice, or ended twice break the rules', () => {
  fails(() => opened().relay.receiveMessages({ type: 'data', stream: 2, bytes: new Uint8Array(1) }), /never opened/)
  fails(() => opened().client.receiveMessages({ type: 'end', stream: 7, reason: 0 }), /never opened/)
  fails(() => opened().relay.receiveMessages({ type: 'begin', stream: 1, protocol: 'pqs' }), /opened before/)
  const end: RelayMessage = { type: 'end', stream: 1, reason: 0 }
  fails(() => opened().relay.receiveMessages(end, end), /END after END/)
  fails(() => opened().relay.receiveMessages(end, { type: 'data', stream: 1, bytes: new Uint8Array(1) }), /DATA after END/)
})

test('a relay that serves no streams takes no long messages', () => {
  fails(() => new Side('relay', []).receiveMessages({ type: 'data', stream: 1, bytes: new Uint8Array(3_000) }), /3002 over 2000/, 'MESSAGE_MALFORMED')
})

test('DROP is taken and forgotten', () => {
  const { client, relay } = pair()
  client.take(client.end.send({ type: 'drop' }))
  assert.equal(client.cells.length, 1)
  settle(client, relay)
  assert.deepEqual([...relay.events, ...client.events], [])
})

// Windows

const tagOf = (cell: number) => () => new Uint8Array(16).fill(cell)

/** Sends while the window is open; how many cells that were. */
function fill(window: SendWindow, cells = Number.POSITIVE_INFINITY): number {
  let sent = 0
  while (window.isOpen && sent < cells) {
    assert.ok(window.room > 0)
    window.sent(tagOf(1))
    sent++
  }
  return sent
}

test('the window closes after 256 cells, and opens by 32 with each right SENDME, a frame of 63 at a time', () => {
  const window = new SendWindow()
  assert.equal(fill(window), circuitWindow.cells)
  const opened = Array.from({ length: 10 }, () => {
    window.sendme(tagOf(1)())
    return fill(window)
  })
  assert.deepEqual(opened, [0, 63, 0, 63, 0, 63, 0, 63, 0, 63])
})

test('a window never waits for a SENDME that is not due, and has no more than 256 cells under way', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant('sendme' as const), fc.integer({ min: 1, max: 300 })), { maxLength: 200 }), (steps) => {
      const window = new SendWindow()
      let underWay = 0
      for (const step of steps) {
        if (step !== 'sendme') underWay += fill(window, step)
        else if (underWay >= circuitWindow.sendmeEvery) {
          window.sendme(tagOf(1)())
          underWay -= circuitWindow.sendmeEvery
        }
        assert.ok(underWay <= circuitWindow.cells)
        assert.ok(window.isOpen || underWay >= 2 * circuitWindow.sendmeEvery)
      }
    }),
    { numRuns: 200 }
  )
})

test('a SENDME with a wrong tag, in a wrong order, or for nothing breaks the rules', () => {
  const sent = (): SendWindow => {
    const window = new SendWindow()
    for (let cell = 1; cell <= 64; cell++) window.sent(tagOf(cell))
    return window
  }
  fails(() => sent().sendme(tagOf(33)()), /wrong tag/)
  fails(() => sent().sendme(tagOf(64)()), /wrong tag/)
  fails(() => new SendWindow().sendme(tagOf(0)()), /not sent/)
  const window = sent()
  window.sendme(tagOf(32)())
  window.sendme(tagOf(64)())
  fails(() => window.sendme(tagOf(64)()), /not sent/)
})

test('each 32nd cell is acknowledged', () => {
  const window = new ReceiveWindow()
  const due = Array.from({ length: 96 }, (_, index) => window.received(tagOf(index + 1))?.[0]).filter((tag) => tag !== undefined)
  assert.deepEqual(due, [32, 64, 96])
})

test('a forged SENDME ends the circuit that it came over', () => {
  const { client, relay } = opened()
  client.take(client.end.write(1, new Uint8Array(100_000)))
  carry(client, relay, 40)
  fails(() => client.receiveMessages({ type: 'sendme', tag: new Uint8Array(16).fill(200) }), /wrong tag/)
  fails(() => relay.receiveMessages({ type: 'sendme', tag: new Uint8Array(16) }), /not sent/)
})
