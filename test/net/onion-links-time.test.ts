import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, type Millis, millis, wallMillis } from '../../src/core/base/index.ts'
import { cellSizes } from '../../src/core/onion/index.ts'
import type { Timers } from '../../src/mesh/ports.ts'
import { type LinkEnd, cellOf, firstAccepted, startLinkNode } from './onion-link-support.ts'
import { clock, until } from './support.ts'

/** A clock that stands, and timers that run when it is moved. */
class TestTime implements Timers {
  now = 1_000
  #due: { readonly at: number; readonly run: () => void }[] = []

  readonly clock: Clock = { monotonic: (): Millis => millis(this.now), wall: () => wallMillis(clock.wall()), bootId: 'test' }

  schedule(delayMs: number, run: () => void): () => void {
    const entry = { at: this.now + delayMs, run }
    this.#due.push(entry)
    return () => {
      this.#due = this.#due.filter((each) => each !== entry)
    }
  }

  /** Lets time pass in which nothing ran, as on a machine that slept. */
  skip(ms: number): void {
    this.now += ms
  }

  move(ms: number): void {
    for (const end = this.now + ms; ;) {
      const next = this.#due.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined) {
        this.now = end
        return
      }
      this.#due = this.#due.filter((each) => each !== next)
      this.now = Math.max(this.now, next.at)
      next.run()
    }
  }
}

/** A cell that arrives: the opener of the link has heard something. */
async function hear(here: LinkEnd, there: LinkEnd): Promise<void> {
  const before = here.received.length
  there.send(cellOf(1, before))
  await until(() => here.received.length > before, 'a cell arrives')
}

test('a link without circuits is closed by its opener after 15 minutes, one with circuits is not', async () => {
  const time = new TestTime()
  await using node = await startLinkNode({ clock: time.clock, timers: time })
  await using one = await startLinkNode()
  await using two = await startLinkNode()
  const [idle, busy] = await Promise.all([node.open(one, 'client'), node.open(two, 'client')])
  idle.circuits = 0
  time.skip(840_000)
  time.move(5_000)
  await Promise.all([hear(idle, await firstAccepted(one)), hear(busy, await firstAccepted(two))])
  assert.ok(!idle.hasEnded)
  time.skip(60_000)
  time.move(5_000)
  await until(() => idle.hasEnded, 'the idle link is closed')
  assert.equal(idle.error, undefined)
  assert.ok(!busy.hasEnded)
})

test('a link whose other end is there is asked now and then and stays; one whose other end is silent ends within 35 seconds', async () => {
  const time = new TestTime()
  await using node = await startLinkNode({ clock: time.clock, timers: time })
  await using alive = await startLinkNode()
  await using silent = await startLinkNode({ bare: true })
  let heard = 0
  await silent.host.host.serve('onion', async (stream) => {
    for await (const frame of stream.frames()) heard += frame.length / cellSizes.cell
  })
  const [good, bad] = await Promise.all([node.open(alive, 'client'), node.open(silent, 'client')])
  await firstAccepted(alive)
  const answered = (): number => alive.host.host.counters.bytesSent
  for (let probes = 1; probes <= 3; probes++) {
    time.move(20_000)
    await until(() => answered() === (2 * probes - 1) * (cellSizes.cell + 4), 'the probe is answered')
    if (probes === 1) await until(() => heard === 2, 'the silent one is asked')
    // What was answered is on its way back: a cell behind it shows that it arrived.
    alive.accepted[0]?.send(cellOf(1, probes))
    await until(() => good.received.length === probes, 'the answer is there')
  }
  assert.ok(!good.hasEnded && bad.hasEnded)
  assert.equal(bad.error?.code, 'PEER_UNREACHABLE')
  assert.deepEqual(alive.accepted[0]?.received, [])
})

test('in another network a link is asked at once, and has three seconds to answer', async () => {
  const time = new TestTime()
  await using node = await startLinkNode({ clock: time.clock, timers: time })
  await using alive = await startLinkNode()
  await using silent = await startLinkNode({ bare: true })
  let heard = 0
  await silent.host.host.serve('onion', async (stream) => {
    for await (const frame of stream.frames()) heard += frame.length / cellSizes.cell
  })
  const [good, bad] = await Promise.all([node.open(alive, 'client'), node.open(silent, 'relay')])
  await firstAccepted(alive)
  node.links.networkChanged()
  await until(() => heard === 2 && alive.host.host.counters.bytesSent === cellSizes.cell + 4, 'both are asked')
  // What was answered is on its way back: a cell behind it shows that it arrived.
  await hear(good, await firstAccepted(alive))
  time.move(2_999)
  assert.ok(!bad.hasEnded)
  time.move(1)
  await until(() => bad.hasEnded, 'the silent one has ended')
  assert.equal(bad.error?.code, 'PEER_UNREACHABLE')
  assert.ok(!good.hasEnded)
})

test('a guard is called from another key the next day; the old link stays while circuits run over it', async () => {
  const time = new TestTime()
  await using node = await startLinkNode({ clock: time.clock, timers: time })
  await using guard = await startLinkNode()
  const old = await node.open(guard, 'client')
  const atGuard = await firstAccepted(guard)
  time.skip(86_000_000)
  time.move(5_000)
  await hear(old, atGuard)
  assert.equal((await node.open(guard, 'client')).link, old.link)
  time.skip(500_000)
  const fresh = await node.open(guard, 'client')
  await firstAccepted(guard, 1)
  assert.notEqual(fresh.link.id, old.link.id)
  assert.equal(new Set(guard.host.libp2p.getPeers().map(String)).size, 2)
  assert.ok(!old.hasEnded)
  old.circuits = 0
  time.move(10_000)
  await until(() => old.hasEnded && guard.host.libp2p.getPeers().length === 1, 'the old key is gone')
  assert.ok(!fresh.hasEnded)
})
