import assert from 'node:assert/strict'
import { test } from 'node:test'
import { millis } from '../../../src/core/base/index.ts'
import { CreateQueue } from '../../../src/core/onion/create-queue.ts'
import { type CircuitSource, RelayLimits } from '../../../src/core/onion/relay-limits.ts'
import { cellSizes } from '../../../src/core/onion/types.ts'

const client = (link: number, key = '198.51.100.0/24'): CircuitSource => ({ link, kind: 'client', key })
const relay = (link: number, key = 'aa'): CircuitSource => ({ link, kind: 'relay', key })
function enter(limits: RelayLimits, source: CircuitSource): boolean {
  const isFree = limits.fullness(source) === undefined
  if (isFree) limits.enter(source)
  return isFree
}
const count = (times: number, of: () => boolean): number => Array.from({ length: times }, of).filter(Boolean).length

test('clients of one prefix ask for 90 circuits and then for 3 a second, over all their links; beyond that they work', () => {
  const limits = new RelayLimits()
  const free = (now: number): number => count(200, () => limits.rate(client(now % 7), millis(now)) === 'free')
  assert.equal(free(0), 90)
  assert.equal(free(1_000), 3)
  assert.equal(limits.rate(client(1), millis(1_000)), 'pay')
  assert.equal(limits.rate(client(1, '203.0.113.0/24'), millis(1_000)), 'free')
})

test('a relay asks for 300 and then for 60 a second, and is refused beyond that', () => {
  const limits = new RelayLimits()
  const free = (now: number): number => count(1_000, () => limits.rate(relay(1), millis(now)) === 'free')
  assert.equal(free(0), 300)
  assert.equal(free(1_000), 60)
  assert.equal(limits.rate(relay(2), millis(1_000)), 'refused')
})

test('circuits are bounded: 64 of a client link, a quarter of all of one neighbour, and all', () => {
  const limits = new RelayLimits({ maxCircuits: 400 })
  assert.equal(
    count(100, () => enter(limits, client(1))),
    64
  )
  assert.equal(
    count(100, () => enter(limits, client(2))),
    36
  )
  assert.equal(
    count(200, () => enter(limits, relay(3))),
    100
  )
  assert.equal(
    count(200, () => enter(limits, relay(4, 'bb'))),
    100
  )
  assert.equal(
    count(200, () => enter(limits, relay(5, 'cc'))),
    100
  )
  assert.equal(enter(limits, relay(6, 'dd')), false)
  limits.leave(relay(3))
  assert.equal(enter(limits, relay(6, 'dd')), true)
  assert.equal(limits.circuits, 400)
})

test('what a neighbour sends too fast is waited for, whatever links it has, but for the little that each may always send', () => {
  const limits = new RelayLimits({ bytesPerSecond: 262_144 })
  const link = (id: number, key = 'aa'): { readonly link: number; readonly key: string } => ({ link: id, key })
  assert.equal(limits.receivedMs(link(1), 256, millis(0)), 0)
  assert.equal(limits.receivedMs(link(1), 65, millis(0)), Math.ceil((65 / 256) * 1_000))
  assert.equal(limits.receivedMs(link(2), 65, millis(0)), Math.ceil((130 / 256) * 1_000))
  assert.equal(limits.receivedMs(link(3), 64, millis(0)), 0)
  assert.equal(limits.receivedMs(link(4, 'bb'), 65, millis(0)), 0)
})

test('what is sent to a neighbour has its rate, too', () => {
  const limits = new RelayLimits({ bytesPerSecond: 262_144 })
  const link = { link: 1, key: 'aa' }
  assert.equal(limits.sendable(link, 63, millis(0)), 63)
  limits.sent(link, 256, millis(0))
  limits.sent(link, 64, millis(0))
  assert.equal(limits.sendable(link, 63, millis(0)), 0)
  assert.equal(limits.sendable(link, 63, millis(100)), Math.floor(26_214 / cellSizes.cell))
  assert.equal(limits.sendable({ link: 2, key: 'aa' }, 63, millis(0)), 63)
})

const create = (link: number, circuit: number): { readonly link: number; readonly circuit: number; readonly request: Uint8Array } => ({
  link,
  circuit,
  request: new Uint8Array()
})

test('CREATEs of neighbours take turns', () => {
  const queue = new CreateQueue()
  for (let circuit = 1; circuit <= 20; circuit++) queue.push('busy', create(1, circuit))
  queue.push('calm', create(2, 1))
  queue.push('other', create(3, 1))
  const links = [1, 2, 3, 4].map(() => queue.next()?.link)
  assert.deepEqual(links, [1, 2, 3, 1])
  assert.equal(queue.length, 18)
})

test('a neighbour has 32 places, all have 512; a new one gets the last place of whoever has most', () => {
  const queue = new CreateQueue()
  assert.equal(
    count(40, () => queue.push('a', create(1, 1)) === undefined),
    32
  )
  for (let lane = 0; lane < 16; lane++) for (let circuit = 0; circuit < 30; circuit++) queue.push(`lane ${lane}`, create(2, circuit))
  assert.equal(queue.length, 512)
  assert.equal(queue.push('new', create(3, 1))?.link, 1)
  assert.equal(queue.length, 512)
  queue.remove(1)
  assert.equal(queue.length, 481)
  queue.remove(2, 5)
  assert.equal(queue.length, 465)
})
