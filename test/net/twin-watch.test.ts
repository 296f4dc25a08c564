import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Card } from '../../src/core/peers/index.ts'
import { wallMillis } from '../../src/core/base/index.ts'
import type { LogRecord, Mesh } from '../../src/mesh/mesh.ts'
import { TwinWatch } from '../../src/mesh/twin-watch.ts'
import { createTestnet } from '../../src/testing/index.ts'

const hasTwin = async (mesh: Mesh): Promise<boolean> => (await mesh.status()).health.some(({ code }) => code === 'IDENTITY_TWICE')

async function until(what: string, holds: () => Promise<boolean>, deadlineMs = 90_000): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `${what}: not within ${deadlineMs} ms`)
    await delay(200)
  }
}

test('two nodes with one identity notice each other through a peer that both know, and the peer notices nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sm-twin-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const logged: LogRecord[] = []
  await using net = await createTestnet(1, { onLog: (_, record) => logged.push(record) })
  const identityFile = join(folder, 'identity.key')
  const one = await net.add({}, { identityFile })
  const other = await net.add({}, { identityFile })
  assert.equal(one.peerId, other.peerId)
  await until('the first notices', () => hasTwin(one))
  await until('the second notices', () => hasTwin(other))
  assert.equal(await hasTwin(net.node(0)), false)
  assert.ok(logged.some(({ level, event }) => level === 'error' && event === 'IDENTITY_TWICE'))
  const [finding] = (await one.status()).health.filter(({ code }) => code === 'IDENTITY_TWICE')
  assert.match(finding?.message ?? '', /identity, at \/ip4\/127\.0\.0\.1/)
})

/** A peer's memory of our cards: the one that was issued last. */
class Registry {
  card: Card | undefined
  owner = ''

  take(owner: string, issuedAt: number): void {
    if (this.card !== undefined && this.card.issuedAt >= issuedAt) return
    this.owner = owner
    this.card = {
      network: 'n',
      publicKey: new Uint8Array(32),
      name: '',
      labels: [],
      features: [],
      addresses: [`/of/${owner}`],
      issuedAt: wallMillis(issuedAt)
    }
  }
}

/** One process with the identity; time passes by `run`. */
class Process {
  readonly watch: TwinWatch
  #issuedAt: number
  #due: { readonly at: number; readonly run: () => void } | undefined
  #now = 0

  constructor(name: string, registry: Registry, startedAt: number) {
    this.#issuedAt = startedAt
    registry.take(name, startedAt)
    const issuedAt = (): number => this.#issuedAt
    this.watch = new TwinWatch({
      peers: () => ['peer'],
      clock: { monotonic: () => this.#now },
      log: () => undefined,
      timers: {
        schedule: (delayMs, run) => {
          this.#due = { at: this.#now + delayMs, run }
          return () => (this.#due = undefined)
        }
      },
      cards: {
        seenBy: async () => (registry.card === undefined ? undefined : { card: registry.card, isOurs: registry.owner === name }),
        fetch: async () => {
          registry.take(name, this.#issuedAt)
          return registry.card ?? assert.fail()
        },
        outdo: (issuedAt) => (this.#issuedAt = issuedAt + 1),
        get issuedAt() {
          return issuedAt()
        }
      }
    })
    this.watch.start()
  }

  get isWarned(): boolean {
    return this.watch.findings().length > 0
  }

  async run(ms: number): Promise<void> {
    const end = this.#now + ms
    while (this.#due !== undefined && this.#due.at <= end) {
      const { at, run } = this.#due
      this.#now = at
      this.#due = undefined
      run()
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    }
    this.#now = end
  }
}

test('both of two processes are warned, whichever clock is ahead', async () => {
  for (const [first, second] of [
    [1_000, 2_000],
    [2_000, 1_000],
    [1_000, 1_000]
  ] as const) {
    const registry = new Registry()
    const [one, other] = [new Process('one', registry, first), new Process('other', registry, second)]
    for (let second = 0; second < 60; second++) for (const each of [one, other]) await each.run(1_000)
    assert.deepEqual([one.isWarned, other.isWarned], [true, true])
  }
})

test('the card of an earlier run warns nobody, not even one from a clock that was years ahead', async () => {
  const registry = new Registry()
  registry.take('an earlier run', Date.UTC(2099))
  const now = new Process('now', registry, 1_000)
  for (let second = 0; second < 120; second++) await now.run(1_000)
  assert.equal(now.isWarned, false)
  assert.equal(registry.owner, 'now', 'its own card counts again')
})

test('the warning goes ten minutes after the other process has gone', async () => {
  const registry = new Registry()
  const [one, other] = [new Process('one', registry, 1_000), new Process('other', registry, 2_000)]
  for (let second = 0; second < 60; second++) for (const each of [one, other]) await each.run(1_000)
  assert.equal(one.isWarned, true)
  await one.run(500_000)
  assert.equal(one.isWarned, true)
  await one.run(200_000)
  assert.equal(one.isWarned, false)
})
