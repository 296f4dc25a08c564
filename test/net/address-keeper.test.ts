import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { AddressKeeper, type AddressKeeperOptions } from '../../src/mesh/address-keeper.ts'
import type { DialOutcome } from '../../src/core/nat/nat-frames.ts'
import type { LogRecord } from '../../src/mesh/mesh.ts'
import type { Timers } from '../../src/mesh/ports.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { FakeAddresses, FakeRouter } from './reach-support.ts'
import { until } from './support.ts'

const home = '/ip4/192.168.26.2/tcp/9000'
const mapped = '/ip4/11.77.26.2/tcp/9000'
const open4 = '/ip4/11.77.3.2/tcp/9000'
const open6 = '/ip6/2a0f:7777:3::2/tcp/9000'

/** Timers that run when the test says so. */
class HandTimers implements Timers {
  readonly #waiting = new Map<number, { readonly delayMs: number; readonly run: () => void }>()
  #count = 0

  schedule(delayMs: number, run: () => void): () => void {
    const id = this.#count++
    this.#waiting.set(id, { delayMs, run })
    return () => this.#waiting.delete(id)
  }

  get delays(): readonly number[] {
    return [...this.#waiting.values()].map(({ delayMs }) => delayMs).sort((a, b) => a - b)
  }

  /** Runs what is due within `ms`. */
  run(ms: number): void {
    for (const [id, { delayMs, run }] of [...this.#waiting]) {
      if (delayMs > ms) continue
      this.#waiting.delete(id)
      run()
    }
  }
}

interface Rig {
  readonly keeper: AddressKeeper
  readonly own: FakeAddresses
  readonly timers: HandTimers
  /** A trusted peer comes. */
  readonly helperCame: () => void
  readonly logs: LogRecord[]
  /** Who was asked for which address. */
  readonly asked: string[]
}

type RigOptions = Partial<Pick<AddressKeeperOptions, 'mapping' | 'helpers' | 'publicHost'>> & {
  readonly addresses: readonly string[]
  readonly answer?: (peerId: string, address: string) => DialOutcome
}

function startRig(
  t: TestContext,
  { addresses, answer = () => 'connected', helpers = () => ['helper-1'], mapping, publicHost = () => undefined }: RigOptions
): Rig {
  const own = new FakeAddresses(addresses)
  const timers = new HandTimers()
  let helperCame = (): void => undefined
  const [logs, asked]: [LogRecord[], string[]] = [[], []]
  const keeper = new AddressKeeper({
    own,
    mapping,
    timers,
    tracker: new Tracker((what, error) => assert.fail(`${what}: ${error.message}`)),
    log: (record) => logs.push(record),
    helpers,
    publicHost,
    onHelper: (handler) => {
      helperCame = handler
      return () => undefined
    },
    dialBack: (peerId, address) => {
      asked.push(`${peerId} ${address}`)
      return Promise.resolve(answer(peerId, address))
    }
  })
  keeper.start()
  t.after(() => keeper.stop())
  return { keeper, own, timers, helperCame: () => helperCame(), logs, asked }
}

test('one trusted peer that can dial it is enough for an address, and nobody is asked for private ones', async (t) => {
  const { keeper, own, asked } = startRig(t, { addresses: [home, open4, open6, '/ip4/127.0.0.1/tcp/9000'], helpers: () => ['helper-1', 'helper-2'] })
  await keeper.confirmAddresses()
  assert.deepEqual(asked, [`helper-1 ${open4}`, `helper-1 ${open6}`])
  assert.deepEqual(own.confirmed, [open4, open6])
  await keeper.confirmAddresses()
  assert.equal(asked.length, 2, 'what is confirmed is not asked for again')
})

test('an address that nobody can dial is not announced; three are asked, and again later', async (t) => {
  const helpers = ['helper-1', 'helper-2', 'helper-3', 'helper-4']
  const { keeper, own, asked, timers } = startRig(t, { addresses: [open4], helpers: () => helpers, answer: () => 'failed' })
  await keeper.confirmAddresses()
  assert.deepEqual([own.confirmed, asked.length], [[], 3])
  assert.deepEqual(timers.delays, [600_000])
})

test('where a helper does not tell, it is asked again soon, twice, and then seldom', async (t) => {
  const { keeper, timers } = startRig(t, { addresses: [open4], answer: () => 'busy' })
  const delays: number[] = []
  for (let round = 0; round < 3; round++) {
    await keeper.confirmAddresses()
    delays.push(...timers.delays)
  }
  assert.deepEqual(delays, [5_000, 30_000, 600_000])
})

test('a second peer is asked when the first cannot tell', async (t) => {
  const answer = (peerId: string): DialOutcome => (peerId === 'helper-1' ? 'busy' : 'connected')
  const { keeper, own, asked } = startRig(t, { addresses: [open6], helpers: () => ['helper-1', 'helper-2'], answer })
  await keeper.confirmAddresses()
  assert.deepEqual([own.confirmed, asked.length], [[open6], 2])
})

test('a trusted peer that comes is asked for what is not confirmed', async (t) => {
  const { own, timers, helperCame, asked } = startRig(t, { addresses: [open4] })
  helperCame()
  timers.run(1_000)
  await until(() => own.confirmed.length === 1, 'the address is confirmed')
  assert.equal(asked.length, 1)
  const before = timers.delays
  helperCame()
  assert.deepEqual(timers.delays, before, 'then nothing is left to ask')
})

test('in another network an address that does not answer any more is announced no more', async (t) => {
  let outcome: DialOutcome = 'connected'
  const { keeper, own, timers, asked } = startRig(t, { addresses: [open4], answer: () => outcome })
  await keeper.confirmAddresses()
  outcome = 'failed'
  keeper.networkChanged()
  timers.run(1_000)
  await until(() => own.confirmed.length === 0 && asked.length === 2, 'the address is asked for again and taken back')
})

test('a port in the router is mapped, confirmed, told, renewed after half its lease, and taken back', async (t) => {
  const router = new FakeRouter()
  const { keeper, own, timers } = startRig(t, { addresses: ['/ip4/192.168.26.2/tcp/9001/ws', home], mapping: router })
  timers.run(0)
  await until(() => keeper.mapping.state === 'mapped', 'the port is mapped')
  assert.deepEqual(keeper.mapped, [], 'nobody has dialled it yet')
  timers.run(0)
  await until(() => own.confirmed.includes(mapped), 'the address is confirmed')
  await until(() => keeper.mapped.length === 1, 'it is told')
  assert.deepEqual(keeper.mapping, { state: 'mapped', protocol: 'upnp', address: mapped, isConfirmed: true })
  timers.run(1_800_000)
  await until(() => router.asked.length === 2, 'it is renewed')
  assert.deepEqual(router.asked, ['192.168.26.2:9000', '192.168.26.2:9000'])
  await keeper.stop()
  assert.equal(router.unmapped, 1)
})

for (const [externalAddress, externalPort] of [
  ['2a0f:7777:1::2', 9_000],
  ['::ffff:11.77.26.2', 9_000],
  ['11.77.26.2', 0],
  ['11.77.26.2', 65_536]
] as const) {
  test(`a router that opens what is no port of the internet's IPv4 opens none: ${externalAddress} port ${externalPort}`, async (t) => {
    const router = new FakeRouter()
    router.answer = { externalAddress, externalPort, protocol: 'nat-pmp', leaseMs: 3_600_000 }
    const { keeper, own, timers } = startRig(t, { addresses: [home], mapping: router })
    timers.run(0)
    await until(() => keeper.mapping.state === 'none', 'it is of no use')
    assert.deepEqual([own.list().length, router.unmapped], [1, 1])
  })
}

test('a router that is behind another NAT, or says no, is a finding and nothing else', async (t) => {
  const router = new FakeRouter()
  router.answer = { externalAddress: '100.64.19.2', externalPort: 9_000, protocol: 'upnp', leaseMs: 3_600_000 }
  const { keeper, own, timers, asked } = startRig(t, { addresses: [home], mapping: router })
  timers.run(0)
  await until(() => keeper.mapping.state === 'none', 'it is of no use')
  assert.deepEqual([keeper.mapping, own.list().length, asked.length], [{ state: 'none', reason: 'the router is behind another NAT itself' }, 1, 0])
  assert.equal(router.unmapped, 1, 'a port that is of no use is given back')
  router.answer = { reason: 'no' }
  timers.run(60_000)
  await until(() => router.asked.length === 2, 'it is asked again')
  await until(() => timers.delays.includes(300_000), 'and later still')
})

test('of several private addresses the one in the router’s network is mapped; where that is not known, each has its turn', async (t) => {
  const addresses = ['/ip4/172.17.0.1/tcp/9000', home]
  const known = new FakeRouter()
  known.near = '192.168.26.2'
  startRig(t, { addresses, mapping: known }).timers.run(0)
  await until(() => known.asked.length === 1, 'it is asked for')
  assert.deepEqual(known.asked, ['192.168.26.2:9000'])
  const unknown = new FakeRouter()
  unknown.answer = { reason: 'no' }
  const { timers } = startRig(t, { addresses, mapping: unknown })
  timers.run(0)
  await until(() => timers.delays.includes(60_000), 'it is refused')
  timers.run(60_000)
  await until(() => unknown.asked.length === 2, 'the other one has its turn')
  assert.deepEqual(unknown.asked, ['172.17.0.1:9000', '192.168.26.2:9000'])
})

test('a node without a private IPv4 address asks no router', async (t) => {
  const router = new FakeRouter()
  const { keeper, timers } = startRig(t, { addresses: ['/ip4/127.0.0.1/tcp/9000', open4, '/ip6/fd00::1/tcp/9000'], mapping: router })
  timers.run(0)
  await keeper.stop()
  assert.deepEqual([router.asked, keeper.mapping], [[], { state: 'off' }])
})

test('a renewal that fails is repeated before the port is given up', async (t) => {
  const router = new FakeRouter()
  const { keeper, timers } = startRig(t, { addresses: [home], mapping: router })
  timers.run(0)
  await until(() => keeper.mapping.state === 'mapped', 'the port is mapped')
  router.answer = { reason: 'no answer' }
  for (const [failures, delayMs] of [1_800_000, 60_000, 300_000].entries()) {
    timers.run(delayMs)
    await until(() => router.asked.length === failures + 2, 'it is asked again')
    await until(() => timers.delays.some((each) => each >= 60_000 && each <= 1_800_000), 'and will be later')
    assert.equal(keeper.mapping.state, failures < 2 ? 'mapped' : 'none')
  }
})

test('where no port is mapped, the own one is tried once where STUN servers see the node', async (t) => {
  const seen = '/ip4/11.77.15.2/tcp/9000'
  const tries = { addresses: [home], publicHost: () => '11.77.15.2' }
  const forwarded = startRig(t, tries)
  await forwarded.keeper.confirmAddresses()
  assert.deepEqual([forwarded.own.confirmed, forwarded.keeper.mapped], [[seen], []])
  const closed = startRig(t, { ...tries, answer: () => 'failed' })
  await closed.keeper.confirmAddresses()
  await closed.keeper.confirmAddresses()
  assert.deepEqual([closed.own.list().length, closed.asked], [1, [`helper-1 ${seen}`]])
  closed.keeper.networkChanged()
  await closed.keeper.confirmAddresses()
  assert.equal(closed.asked.length, 2, 'in another network it is tried again')
})

test('what comes while addresses are being confirmed has its turn', async (t) => {
  const { keeper, own, timers, asked } = startRig(t, { addresses: [open4] })
  const first = keeper.confirmAddresses()
  own.addMapping(undefined, { address: '11.77.9.2', port: 9_000 })
  void keeper.confirmAddresses()
  await first
  timers.run(0)
  await until(() => asked.length === 2, 'the second one is asked for')
})

test('stopping waits for a mapping that is under way, and takes it back', async (t) => {
  const router = new FakeRouter()
  const slow = Promise.withResolvers<void>()
  const map = router.map.bind(router)
  let isUnderWay = false
  router.map = async (internal) => {
    isUnderWay = true
    await slow.promise
    return map(internal)
  }
  const { keeper, timers } = startRig(t, { addresses: [home], mapping: router })
  timers.run(0)
  await until(() => isUnderWay, 'the router is asked')
  const stopping = keeper.stop()
  assert.equal(router.unmapped, 0)
  slow.resolve()
  await stopping
  assert.deepEqual([router.asked.length, router.unmapped], [1, 1])
})

test('those who may dial us are given confirmed public addresses first, then what may be public, then the local network', (t) => {
  const { keeper, own } = startRig(t, { addresses: [home, open6, `${open4}/ws`, open4, '/ip6/fe80::1/tcp/9000'] })
  own.confirm(open6)
  assert.deepEqual(keeper.candidates(), [open6, open4, `${open4}/ws`, home])
})
