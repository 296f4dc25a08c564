import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { type TestContext, test } from 'node:test'
import { type Clock, MeshError, millis, wallMillis } from '../../src/core/base/index.ts'
import type { ConnectionPath, NatClass, TraversalReport } from '../../src/core/nat/index.ts'
import type { Timers } from '../../src/mesh/ports.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import type { TraversalPorts } from '../../src/mesh/traversal.ts'
import { type OpenConnection, TraversalKeeper } from '../../src/mesh/traversal-keeper.ts'
import { everything, facts, network } from '../core/nat/plan-world.ts'

/** Lets everything go on that waits for no time. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await turn()
}

/** A clock that goes on when it is told to. */
class Time implements Clock, Timers {
  readonly bootId = 'boot'
  #now = 0
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>()

  monotonic = () => millis(this.#now)
  wall = () => wallMillis(this.#now)

  schedule(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settle()
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.run()
    }
    this.#now = end
    await settle()
  }
}

type Way = 'dial' | 'relay' | 'reversal' | 'ice'

/** One peer, and ways to it that behave as the test says. */
class Peer implements TraversalPorts {
  readonly time = new Time()
  readonly begun: (readonly [Way | 'hello', number])[] = []
  readonly reports: TraversalReport[] = []
  readonly failures: string[] = []
  readonly #ways: Partial<Record<Way, string>> = {}
  readonly #open: OpenConnection[] = []
  #onChange: (peerId: string) => void = () => undefined
  running = 0
  their: NatClass = 'symmetric'
  saved: Uint8Array | undefined
  keeper = this.#keeper()

  /** From now on a way gives a connection by this path, or fails with this reason; undefined: no answer. */
  let(way: Way, outcome: ConnectionPath | `!${string}` | undefined): void {
    if (outcome === undefined) delete this.#ways[way]
    else this.#ways[way] = outcome
  }

  opened(path: ConnectionPath, isOurs = true): void {
    this.#open.push({ path, isOurs })
    this.#onChange('peer')
  }

  closed(path: ConnectionPath): void {
    this.#open.splice(
      this.#open.findIndex((each) => each.path === path),
      1
    )
    this.#onChange('peer')
  }

  async restart(): Promise<void> {
    await this.keeper.stop()
    this.#open.length = 0
    this.keeper = this.#keeper()
    await this.keeper.start()
  }

  times(way: Way): readonly number[] {
    return this.begun.filter(([name]) => name === way).map(([, at]) => at)
  }

  means = async () => ({ ...everything, connected: this.pathTo() })
  ownFacts = () => facts('symmetric')
  pathTo = () => (this.#open.find(({ path }) => path !== 'relayed') ?? this.#open[0])?.path
  dial = (_peer: string, _round: 1 | 2, signal: AbortSignal) => this.#go('dial', signal)
  relay = (_peer: string, signal: AbortSignal) => this.#go('relay', signal)
  reversal = (_peer: string, signal: AbortSignal) => this.#go('reversal', signal)
  ice = (_peer: string, _policy: string, signal: AbortSignal) => this.#go('ice', signal)

  async hello() {
    this.begun.push(['hello', this.time.monotonic()])
    return network(this.their)
  }

  #go(way: Way, signal: AbortSignal): Promise<ConnectionPath> {
    this.begun.push([way, this.time.monotonic()])
    this.running += 1
    const { promise, resolve, reject } = Promise.withResolvers<ConnectionPath>()
    const cancel = this.time.schedule(200, () => {
      const outcome = this.#ways[way]
      if (outcome === undefined) return
      if (outcome.startsWith('!')) return reject(new MeshError('ICE_FAILED', { peer: 'peer', reason: outcome.slice(1) }))
      this.opened(outcome as ConnectionPath)
      resolve(outcome as ConnectionPath)
    })
    signal.addEventListener('abort', () => {
      cancel()
      reject(new Error('stopped'))
    })
    return promise.finally(() => (this.running -= 1))
  }

  #keeper(): TraversalKeeper {
    const onChange = (handler: (peerId: string) => void): (() => void) => {
      this.#onChange = handler
      return () => (this.#onChange = () => undefined)
    }
    return new TraversalKeeper({
      ports: this,
      connections: { onChange, of: () => this.#open },
      isPaired: () => true,
      upgrades: true,
      rates: { load: async () => this.saved, save: async (value) => void (this.saved = value) },
      clock: this.time,
      timers: this.time,
      tracker: new Tracker((_what, error) => this.failures.push(error.message)),
      log: () => undefined,
      onReport: (report) => this.reports.push(report)
    })
  }
}

async function startPeer(t: TestContext): Promise<Peer> {
  const peer = new Peer()
  await peer.keeper.start()
  t.after(async () => {
    await peer.keeper.stop()
    assert.deepEqual(peer.failures, [])
    assert.equal(peer.running, 0, 'nothing goes on after the stop')
  })
  return peer
}

const never = new AbortController().signal

test('a peer reached over a relay is upgraded in the background: at once, after 30 s, and then not any more', async (t) => {
  const peer = await startPeer(t)
  peer.their = 'full-cone'
  peer.let('ice', '!checks failed')
  peer.let('dial', '!refused')
  peer.opened('relayed')
  await peer.time.advance(1_000)
  assert.deepEqual([peer.times('dial'), peer.times('ice'), peer.times('relay')], [[0], [0], []])
  assert.deepEqual([peer.reports[0]?.result, peer.reports[0]?.reason], ['relayed', 'checks failed'])
  assert.equal(peer.keeper.retryInMs('peer'), 29_200)
  peer.let('ice', 'punched')
  await peer.time.advance(30_000)
  assert.deepEqual([peer.reports[1]?.result, peer.reports[1]?.ms, peer.keeper.retryInMs('peer')], ['punched', 200, undefined])
  await peer.time.advance(1_000_000)
  assert.equal(peer.reports.length, 2)
  assert.deepEqual(peer.keeper.rates.last100, { count: 2, reachable: 1, direct: 0.5 })
})

test('asking again and again about a peer that is counted and relayed does not move the rates; finding a direct way does', async (t) => {
  const peer = await startPeer(t)
  peer.their = 'full-cone'
  peer.let('ice', '!checks failed')
  peer.let('dial', '!refused')
  peer.opened('relayed')
  await peer.time.advance(1_000)
  for (let round = 0; round < 3; round++) {
    const asked = peer.keeper.traverse('peer', 'auto', never)
    await peer.time.advance(10_000)
    assert.equal((await asked).result, 'relayed')
  }
  assert.deepEqual(peer.keeper.rates.last100, { count: 1, reachable: 1, direct: 0 })
  peer.let('ice', 'punched')
  const asked = peer.keeper.traverse('peer', 'auto', never)
  await peer.time.advance(10_000)
  assert.equal((await asked).result, 'punched')
  assert.deepEqual(peer.keeper.rates.last100, { count: 2, reachable: 1, direct: 0.5 })
})

test('between two symmetric NATs no ICE begins at all, in the background or when it is forced', async (t) => {
  const peer = await startPeer(t)
  peer.opened('relayed')
  await peer.time.advance(400_000)
  const asked = peer.keeper.traverse('peer', 'stun', never)
  await peer.time.advance(1)
  const report = await asked
  assert.deepEqual([report.result, report.now, report.reason], ['failed', 'relayed', 'both NATs are symmetric'])
  assert.deepEqual(peer.times('ice'), [])
  assert.ok(peer.times('dial').length >= 3)
})

test('the side that was called waits 5 s, and does nothing when the peer was faster', async (t) => {
  const peer = await startPeer(t)
  peer.opened('relayed', false)
  await peer.time.advance(4_999)
  assert.deepEqual(peer.begun, [])
  peer.opened('punched', false)
  await peer.time.advance(600_000)
  assert.deepEqual(peer.begun, [])
})

test('a direct connection that comes by itself ends the traversal', async (t) => {
  const peer = await startPeer(t)
  peer.opened('relayed')
  await peer.time.advance(500)
  peer.opened('direct-lan', false)
  // A moment for the way that made it, should it have been one of its own.
  await peer.time.advance(100)
  assert.deepEqual([peer.reports[0]?.result, peer.reports[0]?.path, peer.reports[0]?.ms], ['direct', 'direct-lan', 600])
  assert.equal(peer.running, 0)
})

test('what the operator asks for takes the place of what runs in the background, and two that ask wait for each other', async (t) => {
  const peer = await startPeer(t)
  peer.their = 'full-cone'
  peer.opened('relayed')
  await peer.time.advance(100)
  const first = peer.keeper.traverse('peer', 'auto', never)
  const second = peer.keeper.traverse('peer', 'stun', never)
  await peer.time.advance(30_000)
  assert.deepEqual([(await first).result, (await second).result], ['relayed', 'failed'])
  assert.equal((await second).reason, 'no answer in 6 s')
  const [background, asked, forced] = peer.times('ice')
  assert.deepEqual([background, asked, forced], [0, 100, 6_100])
  assert.equal(peer.reports.length, 2, 'the one in the background has no report')
})

test('a peer that nothing reaches is a report with every reason, and counts against the rate', async (t) => {
  const peer = await startPeer(t)
  peer.let('dial', '!connection refused')
  const asked = peer.keeper.traverse('peer', 'auto', never)
  await peer.time.advance(6_000)
  const report = await asked
  assert.deepEqual([report.result, report.path, report.ms], ['failed', undefined, 5_000])
  assert.equal(report.reason, 'dial: connection refused; relay: no answer in 5 s')
  assert.deepEqual(peer.keeper.rates.lifetime, { count: 1, reachable: 0, direct: 0 })
})

test('a relayed connection that was lost again is not reported as one', async (t) => {
  const peer = await startPeer(t)
  peer.let('relay', 'relayed')
  const asked = peer.keeper.traverse('peer', 'auto', never)
  await peer.time.advance(300)
  peer.closed('relayed')
  await peer.time.advance(9_000)
  const report = await asked
  assert.deepEqual([report.result, report.path, report.now, report.reason], ['failed', undefined, undefined, 'the connection was lost again'])
})

test('the caller can end it, and the rates outlive the process', async (t) => {
  const peer = await startPeer(t)
  const stop = new AbortController()
  const asked = peer.keeper.traverse('peer', 'auto', stop.signal)
  await peer.time.advance(10)
  stop.abort()
  await assert.rejects(asked, { code: 'ABORTED' })
  await peer.time.advance(0)
  assert.equal(peer.running, 0)
  peer.opened('direct-public')
  await peer.time.advance(0)
  await peer.restart()
  assert.deepEqual(peer.keeper.rates, { lifetime: { count: 1, reachable: 1, direct: 1 }, last100: { count: 1, reachable: 1, direct: 1 } })
})

test('a change of network tries every relayed peer anew', async (t) => {
  const peer = await startPeer(t)
  peer.opened('relayed')
  await peer.time.advance(300_000)
  const before = peer.times('dial').length
  peer.keeper.networkChanged()
  await peer.time.advance(1_000)
  assert.equal(peer.times('dial').length, before + 1)
})
