import assert from 'node:assert/strict'
import type { LogRecord, Mesh } from '../../src/mesh/mesh.ts'
import type { MeshSetup } from '../../src/node/create-mesh.ts'
import { createTestnet, type Testnet } from '../../src/testing/testnet.ts'
import { until } from '../net/support.ts'
import { type HostileRelay, startHostileRelay } from './hostile-relay.ts'

type OnionLimits = NonNullable<MeshSetup['onionLimits']>

/** Relays that end builds rest for a moment only, and the far end is asked soon: nobody waits for half a minute in a test. */
export const quickLimits: OnionLimits = {
  pool: { firstDelayMs: 100, maxDelayMs: 400 },
  record: { firstRestMs: 600, maxRestMs: 600, window: 1_000 },
  probe: { idleMs: 700, deadMs: 1_500 }
}

export const deadlineMs = 20_000

/** Real nodes, and a relay among them that does as it is told. */
export interface OnionScene extends AsyncDisposable {
  readonly net: Testnet
  /** Makes circuits of two relays or three; the three honest ones are her guards. */
  readonly alice: Mesh
  readonly bob: Mesh
  readonly honest: readonly Mesh[]
  readonly mallory: HostileRelay
  /** What alice recorded. */
  readonly records: LogRecord[]
}

const relaysKnown = async (mesh: Mesh): Promise<number> => (await mesh.status()).onion.known.relays

/** Waits until a node has heard of so many relays. */
export const knowsRelays = (mesh: Mesh, count: number): Promise<void> =>
  until(async () => (await relaysKnown(mesh)) >= count, `${count} relays are known`, deadlineMs)

/** Alice has her guards before mallory comes, so that he is at another place of her circuits. */
export async function startOnionScene(): Promise<OnionScene> {
  const records: LogRecord[] = []
  const net = await createTestnet(5, {
    // Alice relays for others; for her own circuits there are the other four.
    config: (index) => ({ onionRouting: true, onionHops: 2, onionRelay: index !== 1 }),
    setup: (index) => (index < 2 ? { onionLimits: quickLimits } : {}),
    onLog: (index, record) => {
      if (index === 0) records.push(record)
    }
  })
  const [alice, bob, ...honest] = [net.node(0), net.node(1), net.node(2), net.node(3), net.node(4)]
  await knowsRelays(alice, 3)
  await net.pair(alice, bob)
  await until(async () => (await alice.status()).onion.circuits.spare === 2, 'alice has circuits', deadlineMs)
  const mallory = await startHostileRelay('testnet', alice.addresses()[0] ?? '')
  await Promise.all(net.nodes.map((node, index) => knowsRelays(node, index === 1 ? 5 : 4)))
  await until(() => mallory.knows() === 5, 'mallory knows everybody', deadlineMs)
  const stop = async (): Promise<void> => {
    await Promise.all([net.stop(), mallory.kill()])
  }
  return { net, alice, bob, honest, mallory, records, [Symbol.asyncDispose]: stop }
}

/** The circuit that carries messages, with its relays. */
export async function circuitInUse(from: Mesh, to: Mesh): Promise<{ readonly id: string; readonly path: readonly string[] } | undefined> {
  const circuits = await from.circuits({ showPath: true })
  const found = circuits.find(({ peer, state, streams }) => peer?.peerId === to.peerId && state === 'ready' && streams > 0)
  return found === undefined ? undefined : { id: found.id, path: (found.path ?? []).map(({ peerId }) => peerId) }
}

async function closeAll(mesh: Mesh): Promise<void> {
  for (const { id, peer } of await mesh.circuits()) if (peer !== undefined) await mesh.closeCircuit(id).catch(() => undefined)
}

/** Closes circuits until the one that carries messages leads over mallory; its name. */
export async function leadOverMallory({ alice, bob, mallory }: OnionScene): Promise<string> {
  for (const until = performance.now() + deadlineMs; performance.now() < until;) {
    const circuit = await circuitInUse(alice, bob)
    if (circuit?.path.includes(mallory.peerId) === true) return circuit.id
    // Over a circuit of bob's own messages go as well.
    await Promise.all([closeAll(alice), closeAll(bob)])
    await alice.send(bob.peerId, 'which way?', { via: 'onion' })
  }
  return assert.fail('no circuit leads over mallory')
}
