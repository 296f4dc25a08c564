import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, millis } from '../../src/core/base/index.ts'
import { EndpointStreams } from '../../src/mesh/onion/endpoint-streams.ts'
import type { InboundCircuitHandler } from '../../src/mesh/onion/relay-service.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { clock, timers } from './support.ts'

interface Opened {
  readonly handler: InboundCircuitHandler
  readonly ended: string[]
}

/** Streams that nobody answers, at a time of the test's own. */
function world(): { readonly streams: EndpointStreams; now: number; open(neighbour: string): Opened } {
  const state = { now: 0 }
  const ticking: Clock = { ...clock, monotonic: () => millis(state.now) }
  const streams = new EndpointStreams({ clock: ticking, timers, tracker: new Tracker(() => undefined) })
  streams.serve(() => new Promise(() => undefined))
  const open = (neighbour: string): Opened => {
    const ended: string[] = []
    const port = { write: () => undefined, end: (reason: string) => void ended.push(reason), consumed: () => undefined }
    return { handler: streams.take(port, neighbour), ended }
  }
  return Object.assign(state, { streams, open })
}

test('whoever opens streams without end over circuits of one neighbour leaves those of others theirs', () => {
  const at = world()
  let taken = 0
  for (let second = 0; second < 60; second++) {
    for (let opened = 0; opened < 50; opened++) if (at.open('flood').ended.length === 0) taken += 1
    assert.deepEqual(at.open(`honest ${second}`).ended, [])
    at.now += 1_000
  }
  assert.equal(taken, 256)
  assert.equal(at.streams.count, 256 + 60)
})

test('streams that are opened and left at once cost the rate of their neighbour', () => {
  const at = world()
  let taken = 0
  for (let opened = 0; opened < 1_000; opened++) {
    const { handler, ended } = at.open('flood')
    if (ended.length === 0) taken += 1
    handler.gone()
  }
  assert.equal(taken, 64)
  assert.deepEqual(at.open('honest').ended, [])
  at.now += 1_000
  assert.deepEqual(at.open('flood').ended, [])
})

test('what nobody reads is bounded over all streams: the fullest one is broken off', () => {
  const at = world()
  const opened = Array.from({ length: 200 }, (_, index) => at.open(`neighbour ${index}`))
  const [fullest] = opened
  const frame = new Uint8Array(60_000)
  new DataView(frame.buffer).setUint32(0, frame.length - 4)
  const give = ({ handler }: Opened): void => handler.event({ type: 'data', stream: 1, bytes: frame })
  const ended = (): readonly Opened[] => opened.filter((each) => each.ended.length > 0)
  assert.ok(fullest)
  for (let given = 0; given < 300; given++) give(fullest)
  let given = 300
  for (; ended().length === 0 && given < 2_000; given++)
    opened
      .slice(1 + (given % 199))
      .slice(0, 1)
      .forEach(give)
  assert.deepEqual(ended(), [fullest])
  assert.deepEqual(fullest.ended, ['broken'])
  assert.ok(given * frame.length > 67_108_864 && given * frame.length < 67_108_864 + 400_000, `${given}`)
})
