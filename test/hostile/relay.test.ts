import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Mesh, RelayServing } from '../../src/mesh/mesh.ts'
import { createMesh } from '../../src/node/create-mesh.ts'
import { until } from '../net/support.ts'

interface Look {
  readonly used: number
  readonly rss: number
  readonly serving: RelayServing
}

function startChild(t: TestContext, file: string, ...args: readonly string[]): ChildProcess {
  const child = fork(new URL(file, import.meta.url), args, { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}

const answer = async <T>(child: ChildProcess): Promise<T> => {
  const [message] = await once(child, 'message')
  return message
}

async function ask<T>(child: ChildProcess): Promise<T> {
  const answered = answer<T>(child)
  child.send('tell')
  return answered
}

async function start(t: TestContext, name: string, relay: string): Promise<Mesh> {
  const common = { network: 'test-flood', mdns: false, portMapping: false, listenAddrs: [] }
  // Who calls stays on the relay: what is measured is the relay.
  const mesh = await createMesh({ ...common, name, ...(name === 'called' ? { relays: [relay] } : { natTraversal: false }) })
  t.after(() => mesh.stop())
  return mesh
}

test(
  'under 200 peers that take places, flood and stall a relay keeps its quotas, carries honest messages, and forgets all of them',
  { timeout: 400_000 },
  async (t) => {
    const relay = startChild(t, './relay-child.ts')
    const { address } = await answer<{ readonly address: string }>(relay)
    const [called, caller] = [await start(t, 'called', address), await start(t, 'caller', address)]
    await caller.join((await called.invite()).invite)
    assert.equal((await caller.send('called', 'before', { timeoutMs: 15_000 })).path, 'relayed')
    const before = await ask<Look>(relay)
    assert.equal(before.serving.reservations, 1)

    const attackers = startChild(t, './flood-child.ts', address)
    const { places } = await answer<{ readonly places: number }>(attackers)
    assert.equal(places, 149, 'the last place is taken, and no more')
    const times: number[] = []
    const looks: Look[] = []
    // On a busy machine attackers need a while to reach every quota.
    const quotas = ['reservations', 'circuits', 'rate', 'stalled', 'malformed']
    const areReached = (): boolean => quotas.every((reason) => (looks.at(-1)?.serving.refused[reason] ?? 0) > 0)
    for (let round = 0; round < 8 || (round < 200 && !areReached()); round++) {
      const startedAt = performance.now()
      const { status, path } = await caller.send('called', `honest ${round}`, { timeoutMs: 45_000 })
      assert.deepEqual([status, path], ['stored', 'relayed'], `message ${round}`)
      times.push(performance.now() - startedAt)
      looks.push(await ask<Look>(relay))
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    const told = await ask<Readonly<Record<'reserve' | 'call', Readonly<Record<string, number>>>>>(attackers)
    const last = looks.at(-1)?.serving
    assert.ok(last !== undefined)
    for (const { serving } of looks) assert.ok(serving.reservations <= 150 && serving.circuits <= 120, JSON.stringify(serving))
    assert.ok(areReached(), JSON.stringify(last.refused))
    assert.ok((told.reserve['200'] ?? 0) >= 51 && (told.reserve['201'] ?? 0) > 0, JSON.stringify(told.reserve))
    const peak = Math.max(...looks.map(({ rss }) => rss))
    t.diagnostic(
      `honest messages ${times.map(Math.round).join(', ')} ms; memory ${mib(before.rss)} before, ${mib(peak)} at most; ${JSON.stringify(last)}`
    )
    // Windows of 256 KiB for each circuit, the same again on its way out, and what 200 connections cost.
    assert.ok(peak - before.rss < 400_000_000, `${mib(peak)} at most`)

    attackers.kill('SIGKILL')
    await until(async () => (await ask<Look>(relay)).serving.reservations === 1, 'their places are free', 30_000)
    await until(async () => (await ask<Look>(relay)).serving.circuits <= 2, 'their circuits are gone', 30_000)
    await until(async () => (await ask<Look>(relay)).used - before.used < 30_000_000, 'memory returns', 40_000)
    const after = await ask<Look>(relay)
    t.diagnostic(`in use ${mib(before.used)} before, ${mib(after.used)} after; ${mib(after.rss)} resident`)
    assert.equal((await caller.send('called', 'after', { timeoutMs: 15_000 })).status, 'stored')
  }
)

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`
