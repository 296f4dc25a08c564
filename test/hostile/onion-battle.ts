import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { toMeshError } from '../../src/core/base/index.ts'
import { bundleChild } from '../crash/bundle-child.ts'
import { KnownNodes, type RelayNode, startRelayNode } from '../net/onion-relay-support.ts'
import { until } from '../net/support.ts'
import { Child } from './child-calls.ts'
import type { Attack, Card } from './onion-attacks.ts'
import type { LifecycleCalls, Look } from './onion-lifecycle-child.ts'

/** The longest that a step of a build may take. */
const stepMs = 10_000
/** An assault lasts so long at least. */
const minMs = 2_000
/** Those of honest neighbours, and of attackers' circuits that are none of their own making. */
const maxLinks = 8
/** The bound of all queues, and of the ends of circuits that are told of in spite of it. */
const maxQueuedBytes = 67_108_864 + 10_485_760
/** Of a connection that ended libp2p keeps some 60 KiB for half a minute; all other memory returns at once. */
const maxMoreBytes = 25_165_824
/** On a machine that does other things, too. */
const maxLag99Ms = 1_000
const maxResidentBytes = 512 * 1_048_576

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`
const cardOf = ({ target, addresses }: Card): Card => ({ target, addresses })

interface Builds {
  readonly failures: readonly string[]
  readonly ms: readonly number[]
}

/** Who attacks how: the attackers take turns. */
export interface Assault {
  readonly attacks: readonly Attack[]
  /** So many of the attackers. */
  readonly from: number
  readonly as?: 'client' | 'relay'
  readonly others?: readonly Card[]
  /** How long at least. */
  readonly ms?: number
}

export interface AssaultResult {
  readonly notes: Readonly<Record<string, number>>
  readonly last: Look
  readonly seconds: number
}

/** A relay in a process of its own, its quiet state, and how others know it. */
interface Victim {
  readonly relay: Child<LifecycleCalls>
  readonly card: Card
}

/** A relay, honest nodes in this process, and processes that attack the relay, each from a network of its own. */
export class Battle implements AsyncDisposable {
  readonly #folder: string
  readonly #program: string
  readonly #known = new KnownNodes()
  readonly #honest: RelayNode[] = []
  readonly #attackers: { readonly child: Child<LifecycleCalls>; readonly card: Card }[] = []
  readonly #limits: object

  private constructor(folder: string, program: string, limits: object) {
    this.#folder = folder
    this.#program = program
    this.#limits = limits
  }

  /** @param limits - of the relay, where they are not the usual ones */
  static async start(attackers: number, limits: object = {}): Promise<Battle> {
    const folder = mkdtempSync(join(tmpdir(), 'sm-battle-'))
    const root = fileURLToPath(new URL('../..', import.meta.url))
    const battle = new Battle(folder, await bundleChild(root, folder, 'onion-lifecycle-child'), limits)
    for (let index = 0; index < 4; index++) battle.#honest.push(await startRelayNode({ known: battle.#known, relay: index < 2 }))
    battle.#attackers.push(...(await Promise.all(Array.from({ length: attackers }, (_, index) => battle.#attacker(`127.0.${index + 1}.1`)))))
    return battle
  }

  /** Two relays that do what they should, and an endpoint. */
  get members(): readonly Card[] {
    return this.#honest.slice(0, 3).map(cardOf)
  }

  /** Attacks a fresh relay while honest circuits are built, and looks whether the relay is as before afterwards. */
  async assault(t: TestContext, { attacks, from, as = 'client', others = [], ms = minMs }: Assault): Promise<AssaultResult> {
    const victim = await this.#victim([...others, ...(as === 'relay' ? this.#attackers.map(({ card }) => card) : [])])
    await using relay = victim.relay
    assert.deepEqual((await this.#builds(victim.card, 20)).failures, [])
    const quiet = await settled(relay)
    const attacking = this.#attackers.slice(0, from).map(({ child }) => child)
    const nameOf = (index: number): Attack => attacks[index % attacks.length] ?? assert.fail('no attack')
    await Promise.all(attacking.map((child, index) => child.call('attack', { name: nameOf(index), victim: victim.card, others, as })))
    await until(async () => (await Promise.all(attacking.map(hasBegun))).every(Boolean), 'all attack', 30_000)
    await relay.call('look', { collect: true })
    const startedAt = performance.now()
    const looks: Look[] = []
    const all: Builds[] = []
    // A few at a time, for as long as the attack shows what it can do.
    while (performance.now() - startedAt < ms || all.length < 6) {
      all.push(await this.#builds(victim.card, 4))
      looks.push(await relay.call('look', { collect: false }))
    }
    const seconds = (performance.now() - startedAt) / 1_000
    const notes = sumOf(await Promise.all(attacking.map((child) => child.call('cease'))))
    const end = await returned(relay, quiet.used)
    tell(t, { looks, all, seconds, quiet, end })
    t.diagnostic(JSON.stringify(notes))
    check({ looks, all, more: end.used - quiet.used })
    return { notes, last: end, seconds }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#attackers) await child[Symbol.asyncDispose]()
    for (const node of this.#honest) await node[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #attacker(source: string): Promise<{ readonly child: Child<LifecycleCalls>; readonly card: Card }> {
    const child = await Child.start<LifecycleCalls>(this.#program, [source])
    return { child, card: await child.call('card') }
  }

  async #victim(listed: readonly Card[]): Promise<Victim> {
    const relay = await Child.start<LifecycleCalls>(this.#program, ['127.0.0.1', JSON.stringify(this.#limits)])
    const card = await relay.call('card')
    this.#known.add({ publicKey: card.target.publicKey, addresses: card.addresses })
    await relay.call('know', [...this.#honest.map(cardOf), ...listed])
    return { relay, card }
  }

  /** Circuits over three relays at one time, the attacked one among them, and a round trip over each. */
  async #builds(victim: Card, count: number): Promise<Builds> {
    const [a, b, client, end] = this.#honest
    assert.ok(a && b && client && end)
    const failures: string[] = []
    const ms: number[] = []
    const one = async (path: readonly [Card, ...Card[]]): Promise<void> => {
      const startedAt = performance.now()
      try {
        const circuit = await client.circuit(path[0])
        for (const { target } of path) await circuit.extend(target, 3, stepMs)
        await circuit.ping()
        circuit.close()
        ms.push(performance.now() - startedAt)
      } catch (error) {
        failures.push(toMeshError(error).message)
      }
    }
    await Promise.all(Array.from({ length: count }, (_, index) => one(index % 2 === 0 ? [a, victim, b, end] : [victim, a, b, end])))
    return { failures, ms }
  }
}

const hasBegun = async (attacker: Child<LifecycleCalls>): Promise<boolean> =>
  Object.keys(await attacker.call('notes')).some((what) => !['links', 'circuits'].includes(what))

function sumOf(told: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const sum: Record<string, number> = {}
  for (const notes of told) for (const [what, count] of Object.entries(notes)) sum[what] = (sum[what] ?? 0) + count
  return sum
}

/** The relay once nothing runs over it any more. */
async function settled(relay: Child<LifecycleCalls>): Promise<Look> {
  const isQuiet = async (): Promise<boolean> => {
    const { counters, links } = await relay.call('look', { collect: false })
    return counters.circuits + counters.queuedBytes + counters.waitingCreates === 0 && links <= maxLinks
  }
  await until(isQuiet, 'the relay has neither circuits nor cells', 30_000)
  return relay.call('look', { collect: true })
}

/** The relay once it holds as much as before, or does not after a while. */
async function returned(relay: Child<LifecycleCalls>, used: number): Promise<Look> {
  const giveUpAt = performance.now() + 35_000
  for (;;) {
    const look = await settled(relay)
    if (look.used - used < maxMoreBytes || performance.now() > giveUpAt) return look
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

interface Seen {
  readonly looks: readonly Look[]
  readonly all: readonly Builds[]
  readonly seconds: number
  readonly quiet: Look
  readonly end: Look
}

function tell(t: TestContext, { looks, all, seconds, quiet, end }: Seen): void {
  const ms = all.flatMap((each) => each.ms).toSorted((x, y) => x - y)
  const failures = all.flatMap((each) => each.failures)
  const most = mostOf(looks)
  t.diagnostic(
    `${ms.length} of ${ms.length + failures.length} built in ${seconds.toFixed(1)} s, half of them within ${Math.round(ms[Math.floor(ms.length / 2)] ?? 0)} ms; ` +
      `event loop late by ${most(({ lag99Ms }) => lag99Ms)} ms (99 %), ${most(({ lagMs }) => lagMs)} ms (most); ${most(({ counters }) => counters.circuits)} circuits, ` +
      `${mib(most(({ counters }) => counters.queuedBytes))} queued, ${mib(most(({ rss }) => rss))} resident; ` +
      `afterwards ${mib(end.used - quiet.used)} more, ${end.timers - quiet.timers} timers more ${failures.slice(0, 3).join('; ')}`
  )
}

function check({ looks, all, more }: Pick<Seen, 'looks' | 'all'> & { readonly more: number }): void {
  const failures = all.flatMap((each) => each.failures)
  const tried = failures.length + all.flatMap((each) => each.ms).length
  const most = mostOf(looks)
  assert.ok(failures.length <= tried * 0.05, `${failures.length} of ${tried} failed: ${failures[0]}`)
  assert.ok(most(({ counters }) => counters.circuits) <= 1_024)
  assert.ok(most(({ counters }) => counters.queuedBytes) <= maxQueuedBytes)
  assert.ok(most(({ lag99Ms }) => lag99Ms) < maxLag99Ms)
  assert.ok(most(({ rss }) => rss) < maxResidentBytes)
  assert.ok(more < maxMoreBytes, `${mib(more)} more in use`)
}

const mostOf =
  (looks: readonly Look[]) =>
  (of: (look: Look) => number): number =>
    Math.round(Math.max(...looks.map(of)))
