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
